"""The files that a container of our image has itself, which no command may change: compared, and repaired.

A command in place is root of the container: `find / -name '*.pyc' -delete` reaches our interpreter too, and what
was put aside. An archive, made once in a container, has what we run on, under a name that no pattern is meant for.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import TypeAlias

from executor.errors import UnfitError
from executor.image.replacing import replacing

_Facts: TypeAlias = tuple[int, int, int, int, int]  # mode, uid, gid, size of a file, mtime in ns


class OwnFiles:
    """The files below `live`. FOLDER/own.json says how they were, FOLDER/own.tar holds those below `kept`."""

    def __init__(self, folder: str, kept: Collection[str] = (), live: str = "/") -> None:
        self._record = os.path.join(folder, "own.json")
        self._archive = os.path.join(folder, "own.tar")
        self._kept = kept
        self._live = live

    def note(self, left_out: Collection[str]) -> int:
        """Write down what is there but for `left_out` (absolute paths), and give the time of that in ns.

        Raises UnfitError when the disk is full.
        """
        names = sorted(path.strip("/") for path in left_out)
        facts = dict(self._walk("", frozenset(names)))
        try:
            if not os.path.exists(self._archive):
                self._keep(facts)
            with replacing(self._record) as file:
                file.write(json.dumps({"left out": names, "facts": facts}).encode())
        except OSError as error:
            raise UnfitError(f"cannot keep a copy of the builder's own files: {error.strerror}") from error
        return os.stat(self._record).st_ctime_ns

    def put_right(self) -> tuple[str, ...]:
        """Repair what was changed since; the absolute paths of it.

        Raises UnfitError naming what cannot be repaired; a further call then tries again.
        """
        try:
            with open(self._record, encoding="utf-8") as file:
                record = json.load(file)
        except FileNotFoundError:
            return ()
        before: dict[str, _Facts] = {path: tuple(facts) for path, facts in record["facts"].items()}
        left_out = frozenset(record["left out"])
        changed = self._changed(before, left_out)
        if changed:
            self._repair(changed, before)
            if left := self._changed(before, left_out):
                raise UnfitError(
                    f"a command changed /{left[0]} of this container",
                    hint="start a new container: what follows in this one could be built on leftovers",
                )
        os.unlink(self._record)
        return tuple(f"/{path}" for path in changed)

    def _changed(self, before: Mapping[str, _Facts], left_out: frozenset[str]) -> list[str]:
        now = dict(self._walk("", left_out))
        return sorted(path for path in now.keys() | before.keys() if now.get(path) != before.get(path))

    def _walk(self, folder: str, left_out: frozenset[str]) -> Iterator[tuple[str, _Facts]]:
        with os.scandir(os.path.join(self._live, folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if path not in left_out:
                    facts = _facts(entry.stat(follow_symlinks=False))
                    yield path, facts
                    if stat.S_ISDIR(facts[0]):
                        yield from self._walk(path, left_out)

    def _keep(self, facts: Mapping[str, _Facts]) -> None:
        kept = tuple(f"{path.strip('/')}/" for path in self._kept)
        partial = f"{self._archive}.partial"
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
            for path, (mode, *_) in facts.items():
                if path.startswith(kept) and not stat.S_ISDIR(mode):
                    _add(archive, self._at(path), path)
        os.rename(partial, self._archive)

    def _repair(self, changed: list[str], before: Mapping[str, _Facts]) -> None:
        """What cannot be repaired is left to the comparison that follows."""
        for path in changed:
            if path not in before:
                _remove(self._at(path))
        for path in changed:
            if path in before and stat.S_ISDIR(before[path][0]):
                _make_directory(self._at(path))
        with suppress(OSError, tarfile.TarError), tarfile.open(self._archive) as archive:
            for path in changed:
                if path in before and not stat.S_ISDIR(before[path][0]):
                    self._restore(archive, path, before[path])
        touched = {*changed, *map(os.path.dirname, changed)} & before.keys()
        for path in sorted(touched, reverse=True):
            with suppress(OSError):
                _apply(self._at(path), before[path])

    def _restore(self, archive: tarfile.TarFile, path: str, facts: _Facts) -> None:
        goal = self._at(path)
        with suppress(OSError, KeyError):
            if not os.path.lexists(goal) or _facts(os.lstat(goal))[3:] != facts[3:]:
                member = archive.getmember(path)
                _remove(goal)
                _extract(archive, member, goal)

    def _at(self, path: str) -> str:
        return os.path.join(self._live, path)


def _facts(status: os.stat_result) -> _Facts:
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return status.st_mode, status.st_uid, status.st_gid, size, status.st_mtime_ns


def _add(archive: tarfile.TarFile, source: str, name: str) -> None:
    """Add a link or a file; each name of a file has its content, so that it can be restored alone."""
    status = os.lstat(source)
    if stat.S_ISLNK(status.st_mode):
        archive.addfile(archive.gettarinfo(source, name))
    elif stat.S_ISREG(status.st_mode):
        member = archive.gettarinfo(source, name)
        member.type, member.size = tarfile.REGTYPE, status.st_size
        with open(source, "rb") as file:
            archive.addfile(member, file)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, goal: str) -> None:
    if member.issym():
        os.symlink(member.linkname, goal)
    elif content := archive.extractfile(member):
        with open(goal, "xb") as file:
            shutil.copyfileobj(content, file)


def _make_directory(path: str) -> None:
    if not os.path.isdir(path) or os.path.islink(path):
        _remove(path)
        with suppress(OSError):
            os.mkdir(path)


def _apply(path: str, facts: _Facts) -> None:
    mode, uid, gid, _, modified = facts
    os.lchown(path, uid, gid)
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode))
    os.utime(path, ns=(modified, modified), follow_symlinks=False)


def _remove(path: str) -> None:
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
