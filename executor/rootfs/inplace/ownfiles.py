"""The files that a container of our image has itself, which no command may change: compared, and repaired.

A command in place is root of the container: `find / -name '*.pyc' -delete` reaches our interpreter too, and what
was put aside. What we run on was copied before: see keptfiles.py. So were small files elsewhere. All that it takes
to repair them is held while a command runs: `rm -rf /kaniko` takes none of it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from executor.dataclass import dataclass
from executor.errors import UnfitError
from executor.removal import remove
from executor.replacing import replacing
from executor.rootfs.inplace.keptfiles import KeptFiles, Place
from executor.rootfs.inplace.owntree import Facts, OwnTree, facts_of
from executor.rootfs.kernel.forking import Child

_SMALL = 64 * 1024
_SMALL_IN_ALL = 16 * 1024 * 1024
"""Bytes: files elsewhere up to the one are copied too, as long as they are no more than the other."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What was there, by path: all but what was left out; mode, uid and gid of the directories among that."""

    left_out: frozenset[str]
    facts: Mapping[str, Facts]
    folders: Mapping[str, tuple[int, int, int]]


class OwnFiles:
    """The files below `live`. FOLDER/own.json says how they were; those below `kept`, and small ones, are copied.

    Between two commands the record lies at FOLDER/own.last, to be used again when nothing has changed.
    """

    def __init__(self, folder: str, kept: Collection[str] = (), live: str = "/") -> None:
        self._path = os.path.join(folder, "own.json")
        self._last_path = os.path.join(folder, "own.last")
        self._copies = KeptFiles(folder, live)
        self._kept = tuple(f"{path.strip('/')}/" for path in kept)
        self._live = live
        self._tree = OwnTree(live)
        self._last: _Record | None = None
        self._written: tuple[int, ...] = ()
        self._open = False
        self._copying: Child | None = None
        self._inodes: dict[str, int] = {}
        self._times: dict[str, int] = {}

    @property
    def descriptors(self) -> frozenset[int]:
        """What is held open, for a process that closes everything else."""
        return self._copies.descriptors

    def begin_copying(self, left_out: Collection[str]) -> None:
        """Copy what is to be kept in the background, unless it was; `note` waits for that.

        Raises UnfitError when no process can be started.
        """
        if self._copying is None and not self._copies.exist():
            names = _names(left_out)
            self._copying = Child(lambda: self._copies.make(self._paths_to_keep(names)))

    def stop_copying(self) -> None:
        """There will be no command."""
        if self._copying:
            self._copying.stop()
            self._copying = None

    def note(self, left_out: Collection[str]) -> int:
        """Write down what is there but for `left_out` (absolute paths), and give the time of that in ns.

        Raises UnfitError when the disk is full.
        """
        names = _names(left_out)
        self.begin_copying(names)
        self._inodes = {}
        record = _Record(names, self._tree.look(names, self._inodes), self._folders(names))
        try:
            self._renew_copies(record)
            copying, self._copying = self._copying, None
            if copying:
                copying.result()
            self._copies.hold()
            self._write(record)
        except OSError as error:
            raise UnfitError(f"cannot keep a copy of the builder's own files: {error.strerror}") from error
        return os.stat(self._path).st_ctime_ns

    def put_right(self) -> tuple[str, ...]:
        """Repair what was changed since; the absolute paths of it.

        Raises UnfitError naming what cannot be repaired; a further call then tries again.
        """
        record = self._last if self._open else self._read()
        if record is None:
            return ()
        left_out, before = record.left_out, record.facts
        changed = self._changed(before, left_out)
        if changed:
            self._repair(changed, record)
            if left := self._changed(before, left_out):
                raise UnfitError(
                    f"a command changed /{left[0]} of this container",
                    hint="start a new container: what follows in this one could be built on leftovers",
                )
        self._describe(record.folders)
        self._end_record()
        return tuple(f"/{path}" for path in changed)

    def _renew_copies(self, record: _Record) -> None:
        """Copy anew when something that is kept was written since."""
        made = self._copying is None and self._copies.made()
        if made and any(facts[4] > made for path, facts in record.facts.items() if path.startswith(self._kept)):
            self._copies.forget()
            self.begin_copying(record.left_out)

    def _folders(self, names: frozenset[str]) -> dict[str, tuple[int, int, int]]:
        """The directories among what is left out. Their times change by themselves, and are not recorded."""
        found = {name: facts_of(os.lstat(self._at(name))) for name in names if os.path.isdir(self._at(name))}
        self._times = {name: facts[4] for name, facts in found.items()}
        return {name: facts[:3] for name, facts in found.items()}

    def _describe(self, folders: Mapping[str, tuple[int, int, int]]) -> None:
        for path, owned in folders.items():
            with suppress(OSError):  # of a read-only mount, which nobody has changed
                if facts_of(os.lstat(self._at(path)))[:3] != owned:
                    os.chown(self._at(path), *owned[1:])
                    os.chmod(self._at(path), stat.S_IMODE(owned[0]))

    def _paths_to_keep(self, left_out: frozenset[str]) -> Iterator[str]:
        room = _SMALL_IN_ALL
        for path, (mode, _, _, size, _) in self._tree.look(left_out).items():
            if path.startswith(self._kept):
                yield path
            elif not stat.S_ISDIR(mode) and size <= min(_SMALL, room):
                room -= size
                yield path

    def _write(self, record: _Record) -> None:
        """Have the record in its place, by a rename when it is the last one again."""
        if record == self._last and self._written == _version(self._last_path):
            os.rename(self._last_path, self._path)
        else:
            with replacing(self._path) as file:
                document = {"left out": sorted(record.left_out), "facts": record.facts, "folders": record.folders}
                file.write(json.dumps(document).encode())
        self._last, self._written, self._open = record, _version(self._path), True

    def _read(self) -> _Record | None:
        try:
            with open(self._path, encoding="utf-8") as file:
                document = json.load(file)
        except FileNotFoundError:
            return None
        self._copies.hold()
        facts, folders = (
            {path: tuple(facts) for path, facts in document[kind].items()} for kind in ("facts", "folders")
        )
        return _Record(frozenset(document["left out"]), facts, folders)

    def _end_record(self) -> None:
        self._open = False
        self._copies.release()
        if self._written and self._written == _version(self._path):
            os.rename(self._path, self._last_path)
            self._written = _version(self._last_path)
            return
        self._last = None
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def _changed(self, before: Mapping[str, Facts], left_out: frozenset[str]) -> list[str]:
        now = self._tree.look(left_out)
        if now == before:
            return []
        differing = (path for path in now.keys() | before.keys() if now.get(path) != before.get(path))
        return sorted(path for path in differing if not self._is_written_on(path, before.get(path), now.get(path)))

    def _is_written_on(self, path: str, before: Facts | None, now: Facts | None) -> bool:
        """Whether somebody has the file open and goes on writing to it, as a shell's redirection does."""
        if not before or not now or path.startswith(self._kept) or not stat.S_ISREG(before[0]):
            return False
        grown = before[:3] == now[:3] and before[3] <= now[3] and before[4] <= now[4]
        return grown and self._inodes.get(path) in (None, os.lstat(self._at(path)).st_ino)

    def _repair(self, changed: list[str], record: _Record) -> None:
        """What cannot be repaired is left to the comparison that follows."""
        before = record.facts
        for path in changed:
            if path not in before:
                _remove(self._at(path))
        for path in changed:
            if path in before and stat.S_ISDIR(before[path][0]):
                _make_directory(self._at(path))
        self._make_folders(record)
        places = self._copies.places()
        for path in changed:
            if path in places and path in before and not stat.S_ISDIR(before[path][0]):
                self._restore(path, before[path], places[path])
        touched = {*changed, *map(os.path.dirname, changed)} & before.keys()
        for path in sorted(touched, reverse=True):
            with suppress(OSError):
                _apply(self._at(path), before[path])

    def _make_folders(self, record: _Record) -> None:
        for path in record.folders:
            if not os.path.lexists(self._at(path)):
                _make_directory(self._at(path))
                if path in self._times:
                    os.utime(self._at(path), ns=(self._times[path],) * 2)

    def _restore(self, path: str, facts: Facts, place: Place) -> None:
        goal = self._at(path)
        with suppress(OSError):
            if not os.path.lexists(goal) or facts_of(os.lstat(goal))[3:] != facts[3:]:
                _remove(goal)
                if not isinstance(place, str) and tuple(place[1:]) != facts[3:]:
                    return  # it was another one when it was copied
                self._copies.restore(place, goal)

    def _at(self, path: str) -> str:
        return os.path.join(self._live, path)


def _names(paths: Collection[str]) -> frozenset[str]:
    return frozenset(path.strip("/") for path in paths)


def _version(path: str) -> tuple[int, ...]:
    """What changes whenever the file at `path` does; nothing when it is not there."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _make_directory(path: str) -> None:
    if not os.path.isdir(path) or os.path.islink(path):
        _remove(path)
        with suppress(OSError):
            os.mkdir(path)


def _apply(path: str, facts: Facts) -> None:
    mode, uid, gid, _, modified = facts
    os.lchown(path, uid, gid)
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode))
    os.utime(path, ns=(modified, modified), follow_symlinks=False)


def _remove(path: str) -> None:
    """What cannot be removed is left."""
    with suppress(OSError):
        remove(path)
