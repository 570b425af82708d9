"""The session's store: a folder shared by all builds of a session and by every process that names it.

    HOME/blobs/sha256/<hex>        verified content
    HOME/unpacked/<key>/fs         a layer or a flattened chain of layers, as the drivers need it
    HOME/images/<hex>.json         where the layers of an image built here can be found in registries
    HOME/caches/<key>/<n>          what RUN --mount=type=cache keeps
    HOME/unpushed/<name>/          images that registries still lack: see unpushed.py
    HOME/work/<session>/…          what a running process is making; its owner holds a lock on <session>.lock
    HOME/locks/<key>.lock          one writer per unpacked key

Everything appears by rename, so a reader never sees half of it. Locks are flock(2): they end with their process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from executor.errors import UnfitError
from executor.store.blobs import BlobStore
from executor.store.cachemounts import CacheMounts
from executor.store.provenance import ImageSources
from executor.store.unpacked import UnpackedLayers
from executor.store.unpushed import UnpushedImages

_FOLDERS = ("blobs/sha256", "unpacked", "images", "caches", "unpushed", "work", "locks")


def default_home() -> str:
    """Where the store is when nobody says: $KRUNNER_HOME, /var/lib/krunner for root, else ~/.cache/krunner."""
    home = os.environ.get("KRUNNER_HOME")
    if home:
        return os.path.abspath(home)
    if os.geteuid() == 0:
        return "/var/lib/krunner"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "krunner")


class Store:
    """An open store. Close it (it is a context manager): that removes its scratch folders."""

    def __init__(self, home: str, session: str, lock: int) -> None:
        self.home = home
        self._session = session
        self._lock = lock
        ingest = os.path.join(session, "ingest")
        os.mkdir(ingest)
        self.blobs = BlobStore(os.path.join(home, "blobs"), ingest)
        self.unpacked = UnpackedLayers(os.path.join(home, "unpacked"), os.path.join(home, "locks"), session)
        self.caches = CacheMounts(os.path.join(home, "caches"), os.path.join(home, "locks"), session)
        self.sources = ImageSources(os.path.join(home, "images"))
        self.unpushed = UnpushedImages(os.path.join(home, "unpushed"), self.blobs, session)

    @classmethod
    def open(cls, home: str = "") -> Self:
        """Open the store in `home` ('' for the default), making it where needed, and clear what the dead left.

        Raises UnfitError when the folder cannot be made or written.
        """
        home = os.path.abspath(home) if home else default_home()
        try:
            for folder in _FOLDERS:
                os.makedirs(os.path.join(home, folder), mode=0o700, exist_ok=True)
            work = os.path.join(home, "work")
            _remove_abandoned(work)
            return cls(home, *_new_session(work))
        except OSError as error:
            raise UnfitError(
                f"cannot use {home} for layers: {error.strerror}",
                hint="name a folder on a disk with room in KRUNNER_HOME",
            ) from error

    def scratch(self, prefix: str) -> str:
        """A new empty directory for this process, on the store's file system, removed at `close` at the latest."""
        return tempfile.mkdtemp(prefix=f"{prefix}-", dir=self._session)

    def close(self) -> None:
        """Remove what this process was making and give up the session's lock."""
        if self._lock >= 0:
            shutil.rmtree(self._session, ignore_errors=True)
            Path(f"{self._session}.lock").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _new_session(work: str) -> tuple[str, int]:
    """Make a session folder and lock it. The lock file comes first, so no folder is ever without one."""
    descriptor, lock_file = tempfile.mkstemp(suffix=".lock", prefix=f"{os.getpid()}-", dir=work)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    session = lock_file.removesuffix(".lock")
    os.mkdir(session, 0o700)
    return session, descriptor


def _remove_abandoned(work: str) -> None:
    for entry in os.scandir(work):
        if not entry.name.endswith(".lock"):
            continue
        try:
            descriptor = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its owner lives
        else:
            shutil.rmtree(entry.path.removesuffix(".lock"), ignore_errors=True)
            Path(entry.path).unlink(missing_ok=True)
        finally:
            os.close(descriptor)
