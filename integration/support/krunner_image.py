"""The project's own images as `make image` builds them, on a base of this machine's; kept under .cache/ by source.

As a program (`IMAGE_BASE=local make image`) it builds them into dist/.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.support import bases
from integration.support.programs import run
from integration.support.registries import serve_registry

ROOT = Path(__file__).parents[2]
_CACHE = ROOT / ".cache" / "image"
_SOURCES = (
    *("executor", "runner", "schemas", "packaging", "scripts", "Dockerfile", ".dockerignore"),
    *("builds.yaml", "constraints.txt", "pyproject.toml"),
)
_ARCHIVES = ("krunner-debug.tar", "krunner-slim.tar")


@functools.cache
def archives() -> Path:
    """The folder of krunner-debug.tar and krunner-slim.tar, built unless these very sources have been."""
    folder = _CACHE / _key()
    if not folder.exists():
        with _base_environment() as environment:
            run([ROOT / "scripts" / "make-image"], env=environment)
        shutil.rmtree(_CACHE, ignore_errors=True)  # those of other sources
        folder.mkdir(parents=True)
        for name in _ARCHIVES:
            shutil.copyfile(ROOT / "dist" / name, folder / name)
    return folder


def _key() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in _SOURCES:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)} {file.stat().st_mode} {file.stat().st_size}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _base_environment() -> Iterator[dict[str, str]]:
    """The environment in which builds.yaml finds a base on this machine; the store is left alone."""
    _CACHE.parent.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=_CACHE.parent) as scratch,
        serve_registry(Path(scratch) / "reg") as registry,
    ):
        bases.push_archive(bases.toolbox_archive(), registry.host)
        yield {
            **os.environ,
            "IMAGE_BASE": f"{registry.host}/toolbox:latest",
            "IMAGE_BASE_INSECURE": "true",
            "KRUNNER_HOME": f"{scratch}/home",
        }


def main() -> int:
    """Run krunner on builds.yaml with a base of this machine's."""
    with _base_environment() as environment:
        argv = [sys.executable, "-m", "runner.cli", "builds.yaml"]
        return subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
