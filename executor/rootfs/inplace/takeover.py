"""Puts a tree in place of a container's `/` and takes it out again, by renames; nothing is deleted.

    aside    what `/` has of its own moves to FOLDER/aside
    inside   the tree's entries move to `/`: here the command runs
    back     what is in `/` moves into the tree, and what was put aside moves back

Some paths stay (mount points, /kaniko, the workspace…), and the folders above them: of these only children move.
Where the tree has a link in place of such a folder (/var/run, with a mount below), links to its target's entries
stand in the folder.
FOLDER/journal.json says how far it came, so that after a SIGKILL at any point the next process can bring `/` back.
It is in memory too: a command may remove FOLDER.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal, Protocol

from executor.dataclass import asdict, dataclass, replace
from executor.errors import UnfitError
from executor.removal import remove, remove_tree
from executor.replacing import replacing
from executor.rootfs.files.safepath import inside, resolve
from executor.rootfs.kernel.mountinfo import mounts
from executor.snapshot.index import Facts, facts_of

_Metadata = tuple[int, int, int, int]  # mode, uid, gid, mtime in ns


class Check(Protocol):
    """See `guard.Permit`."""

    def check(self) -> None:
        """Raise UnfitError when `/` must not be changed."""

    def check_root(self) -> None:
        """Raise UnfitError when `/` is not the one that leave was given for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Journal:
    """A takeover in progress. `folders` maps a folder whose children move to the metadata of its own children,
    `mounts` what stays and is a mount to its number.

    Paths are relative to `/` ('' is itself); a folder's own is under the name ''.
    """

    phase: Literal["aside", "inside", "back"]
    tree: str
    stays: tuple[str, ...]
    mounts: Mapping[str, int]
    folders: Mapping[str, Mapping[str, _Metadata]]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> _Journal:
        folders = {
            folder: {name: tuple(metadata) for name, metadata in children.items()}
            for folder, children in document["folders"].items()
        }
        return cls(**{**document, "stays": tuple(document["stays"]), "folders": folders})

    def moves(self, folder: str, name: str) -> bool:
        """Whether the child `name` of a folder moves."""
        path = _join(folder, name)
        return path not in self.stays and path not in self.folders


def _nothing() -> object:
    """Nothing is to be repaired."""


def _nobody(_journal: bytes) -> object:
    """Nobody wants to know."""


class Takeover:
    """Exchanges the content of the root `live`. `folder` is on its file system and stays. One at a time.

    `tell` gets each state of the journal, one line of JSON, after it was written: `learn` understands it.
    """

    def __init__(self, permit: Check, folder: str, live: str = "/") -> None:
        self.tell: Callable[[bytes], object] = _nobody
        self._permit = permit
        self._journal: _Journal | None = None
        self._live = live
        self._aside = os.path.join(folder, "aside")
        self._discarded = os.path.join(folder, "discarded")
        self._journal_path = os.path.join(folder, "journal.json")
        self._moved: dict[str, tuple[Facts, Facts]] = {}
        self._renamed: dict[str, tuple[Facts, Facts]] = {}
        self._linked: dict[str, str] = {}
        self.moved_at = 0
        """The latest ctime (ns) of what was brought in: a change in the same tick of the clock would be missed."""
        self.moved: tuple[str, ...] = ()
        """The folders (absolute) that had mounts in them and were renamed. They are where they were again."""

    def begin(self, tree: str, stays: Iterable[str]) -> tuple[str, ...]:
        """Put `tree` in place; the paths of it that cannot be seen because something stays there.

        `stays` are absolute. Raises UnfitError, with everything as it was, when something cannot be moved.
        """
        self._permit.check()
        present = [path for path in _topmost(stays) if os.path.lexists(self._at(path))]
        journal = _Journal(
            phase="aside",
            tree=tree,
            stays=tuple(present),
            mounts={path: number for number, path in self._mounts() if path in present},
            folders=self._folders(present),
        )
        try:
            self._write(journal)
            self._put_aside(journal)
            journal = replace(journal, phase="inside")
            self._write(journal)
            hidden = tuple(self._bring_in(journal))
            self.moved_at = max((now.ctime for _, now in self._moved.values()), default=0)
        except OSError as error:
            self._finish(journal, tree, _nothing)
            raise UnfitError(f"cannot make room in /: {error.strerror}: {error.filename}") from error
        return hidden

    def end(self, repair: Callable[[], object] = _nothing) -> Mapping[str, tuple[Facts, Facts]]:
        """Take the tree out and bring back what was there; `repair` is called before that is compared.

        Gives the tree's entries that moved and were not touched in `/`: their facts before and now.
        Raises UnfitError naming what could not be brought back as it was; `recover` then tries again.
        """
        journal = self._current()
        if journal:
            self._finish(journal, journal.tree, repair)
        return self._renamed

    def recover(self, repair: Callable[[], object] = _nothing) -> bool:
        """Undo what a killed process left; True when there was something. What the tree had is thrown away."""
        journal = self._current()
        if journal is None:
            return False
        os.makedirs(self._discarded, exist_ok=True)
        self._finish(journal, self._discarded, repair)
        remove_tree(self._discarded)
        return True

    def learn(self, line: bytes) -> None:
        """Take over where another process was, which told this of its journal."""
        document = json.loads(line)
        self._journal = _Journal.from_json(document) if document else None

    def unfinished(self) -> tuple[str, ...] | None:
        """The absolute paths that stay in the takeover that a killed process left; None when there is none."""
        journal = self._current()
        return tuple(f"/{path}" for path in journal.stays) if journal else None

    def _folders(self, stays: Iterable[str]) -> dict[str, dict[str, _Metadata]]:
        paths = {""}
        for path in stays:
            while path := path.rpartition("/")[0]:
                paths.add(path)
        return {path: self._children(path) for path in sorted(paths)}

    def _children(self, folder: str) -> dict[str, _Metadata]:
        here = self._at(folder)
        return {name: _metadata(os.path.join(here, name) if name else here) for name in ("", *os.listdir(here))}

    def _put_aside(self, journal: _Journal) -> None:
        for folder, own in journal.folders.items():
            os.makedirs(self._kept(folder), exist_ok=True)
            for name in filter(None, own):
                if journal.moves(folder, name):
                    _move(self._at(folder, name), self._kept(folder, name))

    def _bring_in(self, journal: _Journal) -> Iterator[str]:
        others = {}
        for folder in journal.folders:
            source = os.path.join(journal.tree, folder)
            if not _is_directory(source):
                if os.path.lexists(source):
                    others[folder] = inside(journal.tree, resolve(journal.tree, folder)).lstrip("/")
                continue
            metadata = _metadata(source)
            for name in os.listdir(source):
                if journal.moves(folder, name):
                    self._bring(os.path.join(source, name), self._at(folder, name), _join(folder, name))
                elif _join(folder, name) in journal.stays and _has_content(os.path.join(source, name)):
                    yield f"/{_join(folder, name)}"
            _apply(self._at(folder), metadata)

        for folder, target in others.items():
            if not self._link(journal, folder, target):
                yield f"/{folder}"

    def _link(self, journal: _Journal, folder: str, target: str) -> bool:
        """Let a folder that stays show what is in `target`, to which it is a link in the tree."""
        if target == folder or not _is_directory(self._at(target)):
            return False
        for name in os.listdir(self._at(target)):
            if journal.moves(folder, name) and not os.path.lexists(self._at(folder, name)):
                os.symlink(f"/{target}/{name}", self._at(folder, name))
                self._linked[_join(folder, name)] = _join(target, name)
        return True

    def _unlink(self) -> Iterator[str]:
        """Remove the links again; what was done to one of them is done to what it showed."""
        for path, target in self._linked.items():
            link, shown = self._at(path), self._at(target)
            try:
                if os.path.islink(link) and os.readlink(link) == f"/{target}":
                    os.unlink(link)
                elif not (_is_directory(link) and _is_directory(shown)):
                    remove(shown)
            except OSError as error:
                yield f"{error.filename}: {error.strerror}"

    def _bring(self, source: str, goal: str, name: str) -> None:
        before = facts_of(os.lstat(source))
        _move(source, goal)
        self._moved[name] = before, facts_of(os.lstat(goal))

    def _finish(self, journal: _Journal, tree: str, repair: Callable[[], object]) -> None:
        self._permit.check_root()
        problems: list[str] = []
        if journal.phase == "inside":
            self.moved = tuple(self._return_folders(journal))
            problems += self._take_out(journal, tree)
            journal = replace(journal, phase="back")
            try:
                self._write(journal)
            except OSError:  # the command left no room on the disk
                self._amend(journal)
        problems += self._put_back(journal)
        self._describe(journal)
        repair()
        self._describe(journal)  # what was repaired may have changed a folder's time
        problems += self._differences(journal)
        if problems:
            raise UnfitError(
                f"/ could not be brought back as it was: {problems[0]}",
                hint="start a new container: what follows in this one could be built on leftovers",
            )
        self._journal = None
        with suppress(FileNotFoundError):  # the command removed it
            os.unlink(self._journal_path)
        self.tell(b"null")

    def _mounts(self) -> list[tuple[int, str]]:
        """Number and relative path of each mount below `live`."""
        live = self._live.rstrip("/")
        return [(m.number, m.point[len(live) + 1 :]) for m in mounts() if m.point.startswith(f"{live}/")]

    def _return_folders(self, journal: _Journal) -> Iterator[str]:
        """Rename back folders with mounts in them, which are busy themselves, but not what they are in."""
        for number, path in self._mounts():
            before = next((before for before, known in journal.mounts.items() if known == number), path)
            if before != path:
                was, now = _without_common_end(before, path)
                place = self._at(was)
                remove(place)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.rename(self._at(now), place)
                yield f"/{was}"

    def _take_out(self, journal: _Journal, tree: str) -> Iterator[str]:
        yield from self._unlink()
        for folder in journal.folders:
            here = self._at(folder)
            metadata = _metadata(here)
            names = [name for name in os.listdir(here) if journal.moves(folder, name)]
            goal = _place_in(tree, folder) if names else ""
            for name in names:
                yield from self._take(os.path.join(here, name), os.path.join(goal, name), _join(folder, name))
            if _is_directory(place := os.path.join(tree, folder)):
                _apply(place, metadata)

    def _take(self, source: str, goal: str, name: str) -> Iterator[str]:
        before, brought = self._moved.pop(name, (None, None))
        untouched = brought == facts_of(os.lstat(source))
        yield from _tried(source, goal)
        if before and untouched and os.path.lexists(goal):
            self._renamed[name] = before, facts_of(os.lstat(goal))

    def _put_back(self, journal: _Journal) -> Iterator[str]:
        for folder, own in journal.folders.items():
            kept, here = self._kept(folder), self._at(folder)
            os.makedirs(here, exist_ok=True)
            for name in os.listdir(kept) if os.path.isdir(kept) else ():
                if name in own and journal.moves(folder, name):
                    yield from _tried(os.path.join(kept, name), os.path.join(here, name))
        yield from _leftovers(self._aside)

    def _describe(self, journal: _Journal) -> None:
        for folder, own in journal.folders.items():
            _apply(self._at(folder), own[""])

    def _differences(self, journal: _Journal) -> Iterator[str]:
        for folder, own in journal.folders.items():
            now = self._children(folder)
            for name in sorted(now.keys() | own.keys()):
                path = f"/{_join(folder, name)}"
                if name not in now:
                    yield f"{path} is gone"
                elif name not in own:
                    yield f"{path} was not there"
                elif journal.moves(folder, name) and now[name][:3] != own[name][:3]:  # others may write to it
                    yield f"{path} is another one"

    def _at(self, folder: str, name: str = "") -> str:
        return os.path.join(self._live, folder, name).rstrip("/") or "/"

    def _kept(self, folder: str, name: str = "") -> str:
        return os.path.join(self._aside, folder, name).rstrip("/")

    def _write(self, journal: _Journal) -> None:
        os.makedirs(os.path.dirname(self._journal_path), mode=0o700, exist_ok=True)
        line = json.dumps(asdict(journal)).encode()
        with replacing(self._journal_path) as file:
            file.write(line)
        self._journal = journal
        self.tell(line)

    def _amend(self, journal: _Journal) -> None:
        """Write the later phase into the journal as it is, which takes no room; its name is not longer."""
        self._journal = journal
        with suppress(OSError), open(self._journal_path, "r+b") as file:
            before = json.dumps(asdict(replace(journal, phase="inside"))).encode()
            after = json.dumps(asdict(journal)).encode()
            if file.read() == before:
                file.seek(0)
                file.write(after.replace(b'"back"', b'"back"  ', 1))
        self.tell(json.dumps(asdict(journal)).encode())

    def _current(self) -> _Journal | None:
        """The journal as this process knows it, else as it was left."""
        return self._journal or self._read()

    def _read(self) -> _Journal | None:
        try:
            with open(self._journal_path, encoding="utf-8") as file:
                return _Journal.from_json(json.load(file))
        except FileNotFoundError:
            return None


def _topmost(paths: Iterable[str]) -> Iterator[str]:
    """The absolute `paths` without their first slash, but for `/` and those below others of them."""
    last: tuple[str, ...] = ()
    for parts in sorted({tuple(path.strip("/").split("/")) for path in paths if path.strip("/")}):
        if not last or parts[: len(last)] != last:
            last = parts
            yield "/".join(parts)


def _without_common_end(one: str, other: str) -> tuple[str, str]:
    """Two paths without the last parts that are the same in both; at least the first of each is left."""
    parts, others = one.split("/"), other.split("/")
    while len(parts) > 1 and len(others) > 1 and parts[-1] == others[-1]:
        parts.pop()
        others.pop()
    return "/".join(parts), "/".join(others)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}".strip("/")


def _metadata(path: str) -> _Metadata:
    status = os.lstat(path)
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def _apply(folder: str, metadata: _Metadata) -> None:
    mode, uid, gid, modified = metadata
    os.chown(folder, uid, gid)
    os.chmod(folder, stat.S_IMODE(mode))
    os.utime(folder, ns=(modified, modified))


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _has_content(path: str) -> bool:
    """Whether hiding `path` hides anything."""
    return bool(os.listdir(path)) if _is_directory(path) else os.lstat(path).st_size > 0


def _leftovers(folder: str) -> Iterator[str]:
    """Remove a skeleton of directories; what is in it is not touched but named."""
    for path, folders, files in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            yield f"{os.path.join(path, (*files, *folders)[0])} was not moved back"


def _place_in(tree: str, folder: str) -> str:
    """Where a folder of `/` is in the tree, which may have a link in its place; made when it is not there."""
    place = resolve(tree, f"/{folder}")
    os.makedirs(place, exist_ok=True)
    return place


def _tried(source: str, goal: str) -> Iterator[str]:
    """Move; a problem in words when that fails."""
    try:
        if os.path.lexists(goal) and not (_is_directory(source) and _is_directory(goal)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), goal)
        _move(source, goal)
    except OSError as error:
        yield f"{error.filename}: {error.strerror}"


def _move(source: str, goal: str) -> None:
    """Rename; entry by entry what cannot be (a directory of the container's image: EXDEV) or is there in part."""
    try:
        os.rename(source, goal)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOTEMPTY, errno.EEXIST) or not _is_directory(source):
            raise
        was = os.lstat(source)
        if not _is_directory(goal):
            os.mkdir(goal)
        for name in os.listdir(source):
            _move(os.path.join(source, name), os.path.join(goal, name))
        os.chown(goal, was.st_uid, was.st_gid)
        shutil.copystat(source, goal)
        os.utime(goal, ns=(was.st_atime_ns, was.st_mtime_ns))
        os.rmdir(source)
