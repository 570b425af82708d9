"""Debian's packages for builds without a network: some packages and what they need beyond the `debian` base image.

Fetched once from the machine's own package sources and kept under .cache/, then served by a proxy on loopback that
answers for http://packages.test/, as a company's proxy does for the world: builds get it as `http_proxy`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from integration.support.bases import CACHE, debian_archive
from integration.support.images import read_docker_archive
from integration.support.programs import run
from tests.support.loopback import serving

SOURCE = "deb [trusted=yes] http://packages.test/ ./\n"
"""The sources.list of a base that takes its packages from here."""


def fetched(packages: Sequence[str]) -> Path:
    """A folder with the packages, what they need, and apt's index of them."""
    mark = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    folder = CACHE / f"packages-{debian_archive().stem}-{mark}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _fetch(packages, Path(scratch))
            made = Path(scratch) / "archives"
            (made / "Packages").write_text("".join(map(_index_entry, sorted(made.glob("*.deb")))))
            made.rename(folder)
    return folder


def _fetch(packages: Sequence[str], scratch: Path) -> None:
    """Have apt fetch into `scratch`/archives what it would install in the base image, by lists of its own."""
    (scratch / "status").write_bytes(_installed())
    for name in ("lists/partial", "archives/partial"):
        (scratch / name).mkdir(parents=True)
    places = {
        "Dir::State": scratch,
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch,
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "--quiet=2", *(f"--option={name}={value}" for name, value in places.items())]
    run([*apt, "update"])
    run([*apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages], timeout=600)
    (scratch / "archives" / "lock").unlink()
    (scratch / "archives" / "partial").rmdir()


def _installed() -> bytes:
    """dpkg's record of what the base image has."""
    (layer,) = read_docker_archive(debian_archive()).layers
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        status = archive.extractfile("./var/lib/dpkg/status")
        assert status is not None
        return status.read()


def _index_entry(package: Path) -> str:
    data = package.read_bytes()
    fields = run(["dpkg-deb", "--field", package])
    return f"{fields}Filename: ./{package.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"


class _Proxy(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def translate_path(self, path: str) -> str:
        """The file of an absolute URL, whatever its host."""
        return super().translate_path(urlsplit(path).path)


@contextlib.contextmanager
def serve_packages(folder: Path) -> Iterator[str]:
    """Answer for every host with the files of `folder`; yields the proxy's URL."""
    with serving(functools.partial(_Proxy, directory=os.fspath(folder))) as host:
        yield f"http://{host}"
