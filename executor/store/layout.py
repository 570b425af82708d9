"""The session's store: a folder shared by all builds of a session and by every process that names it.

    HOME/blobs/sha256/<hex>        verified content
    HOME/unpacked/<key>/fs         a layer or a flattened chain of layers, as the drivers need it; see seals.py
    HOME/images/<hex>.json         where the layers of an image built here can be found in registries
    HOME/names/<hex>.json          what the name of a base image stood for when it was last asked for
    HOME/caches/<key>/<n>          what RUN --mount=type=cache keeps
    HOME/unpushed/<name>/          images that registries still lack: see unpushed.py
    HOME/work/<session>/…          what a running process is making; its owner holds a lock on <session>.lock
    HOME/locks/<key>.lock          one writer per unpacked key

Everything appears by rename, so a reader never sees half of it. Locks are flock(2): they end with their process.
prune.py keeps it within a size.
"""

from __future__ import annotations

import os
import tempfile
from types import TracebackType
from typing import Self

from executor.errors import UnfitError
from executor.store.blobs import BlobStore
from executor.store.cachemounts import CacheMounts
from executor.store.names import ImageNames
from executor.store.sessions import end_session, new_session, remove_abandoned
from executor.store.sources import ImageSources
from executor.store.unpacked import UnpackedLayers
from executor.store.unpushed import UnpushedImages
from executor.store.usage import Usage

_FOLDERS = ("blobs/sha256", "unpacked", "images", "names", "caches", "unpushed", "work", "locks")


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
        locks = os.path.join(home, "locks")
        self.usage = Usage(locks)
        self.blobs = BlobStore(os.path.join(home, "blobs"), ingest, self.usage)
        self.unpacked = UnpackedLayers(os.path.join(home, "unpacked"), locks, session, self.usage)
        self.caches = CacheMounts(os.path.join(home, "caches"), locks, session)
        self.names = ImageNames(os.path.join(home, "names"))
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
            remove_abandoned(work)
            return cls(home, *new_session(work))
        except OSError as error:
            raise UnfitError(
                f"cannot use {home} for layers: {error.strerror}",
                hint="name a folder on a disk with room in KRUNNER_HOME",
            ) from error

    @property
    def session(self) -> str:
        """The working folder of this process."""
        return self._session

    def scratch(self, prefix: str) -> str:
        """A new empty directory for this process, on the store's file system, removed at `close` at the latest."""
        return tempfile.mkdtemp(prefix=f"{prefix}-", dir=self._session)

    def close(self) -> None:
        """Remove what this process was making and give up the session's lock."""
        if self._lock >= 0:
            end_session(self._session)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
