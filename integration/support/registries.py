"""A real registry (Debian's docker-registry) on a free loopback port: plain, with a password, or with TLS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from integration.support.programs import answers, free_port, run, server

USER = "tester"
PASSWORD = "wonder land"
# bcrypt of PASSWORD, the only form docker-registry reads
_HTPASSWD = "tester:$2y$05$iLx/02fK.P9utP/924dqPOjd77d.0482wmhzOo02G4dR17nqZlofe\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: a CA made for the tests, and two certificates by it: a client's, a server's for this machine."""

    ca: Path
    certificate: Path
    key: Path
    client: Path
    client_key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryServer:
    """A running registry. `host` is `127.0.0.1:port`, `folder` where it keeps blobs, `pid` its process."""

    host: str
    folder: Path
    log: Path
    pid: int

    def blob(self, digest: str) -> Path:
        """The file in which the registry keeps a blob."""
        algorithm, _, value = digest.partition(":")
        return self.folder / "docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"


@contextlib.contextmanager
def serve_registry(
    folder: Path,
    *,
    password: bool = False,
    tls: TlsFiles | None = None,
    clients: bool = False,
    port: int = 0,
) -> Iterator[RegistryServer]:
    """Run a registry that keeps its files in `folder`; `password` asks for USER and PASSWORD.

    With `clients` it talks only to who has a certificate of the CA of `tls`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    config = folder / "config.yml"
    config.write_text(_configuration(folder, port, password, tls, clients))
    log = folder / "registry.log"
    argv: list[str | Path] = ["docker-registry", "serve", config]
    with server(argv, log=log, ready=lambda: answers(port), env={"OTEL_TRACES_EXPORTER": "none"}) as process:
        yield RegistryServer(host=f"127.0.0.1:{port}", folder=folder, log=log, pid=process.pid)


def _configuration(folder: Path, port: int, password: bool, tls: TlsFiles | None, clients: bool) -> str:
    lines = [
        "version: 0.1",
        "log: {level: info, accesslog: {disabled: false}}",
        f"storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}",
        "http:",
        f"  addr: 127.0.0.1:{port}",
    ]
    if tls:
        authorities = f", clientcas: [{tls.ca}]" if clients else ""
        lines.append(f"  tls: {{certificate: {tls.certificate}, key: {tls.key}{authorities}}}")
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
    return "\n".join(lines) + "\n"


def make_tls(folder: Path) -> TlsFiles:
    """Make a CA, a server's and a client's certificate with openssl, valid for a day."""
    folder.mkdir(parents=True, exist_ok=True)
    ca = folder / "ca.pem"
    new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key"]
    run(["openssl", "req", "-x509", *new_key, "-out", ca, "-days", "1", "-subj", "/CN=test CA"])
    certificate, key = _signed(folder, "server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    client, client_key = _signed(folder, "client", "extendedKeyUsage=clientAuth")
    return TlsFiles(ca=ca, certificate=certificate, key=key, client=client, client_key=client_key)


def _signed(folder: Path, name: str, extension: str) -> tuple[Path, Path]:
    """A certificate by the CA in `folder`, and its key."""
    certificate, key, request = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.csr"
    run(
        [
            "openssl",
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            key,
            "-out",
            request,
            "-subj",
            f"/CN={name}",
        ]
    )
    extensions = folder / f"{name}.extensions"
    extensions.write_text(f"{extension}\n")
    signing: list[str | Path] = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial"]
    signing += ["-days", "1", "-extfile", extensions]
    run(["openssl", "x509", "-req", "-in", request, "-out", certificate, *signing])
    return certificate, key
