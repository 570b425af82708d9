"""A tree of a base after a build, made what it was before, for the next root on the same layers.

    <key>/fs          the tree, with what the build did to it
    <key>/made   what it was like when the layers had just made it

Unpacking the 10,000 files of a usual base takes more than a second; finding what a build changed takes a tenth of
that, and undoing it less. It is undone when somebody wants the tree: mostly nobody does. Whatever befell the tree
meanwhile is found by the same comparison, as no change of a file leaves its ctime alone; `made` must be trusted.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain

from executor.dataclass import dataclass, field
from executor.errors import Error
from executor.removal import remove
from executor.replacing import replacing
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.snapshot.entries import xattrs_of
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, attributes_of, await_next_tick, facts_of, take_index

RECORD = "made"
_NUMBER = "q"
_MOST_CHANGED = 2000  # beyond that, a new tree is cheaper


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a tree was like when it was made: facts of its entries, and attributes of the directories with any."""

    index: Index
    attributes: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: str) -> Made:
        """What the tree at `root` is like now. Raises OSError."""
        index = take_index(root, IgnoredPaths())
        return cls(index=index, attributes=attributes_of(root, index))


def write_record(folder: str, made: Made) -> None:
    """Put `made` beside the tree in `folder`: a line of JSON, then all facts, 8 bytes a number. Raises OSError."""
    attributes = {
        name: {attribute: value.hex() for attribute, value in values.items()}
        for name, values in made.attributes.items()
    }
    with replacing(os.path.join(folder, RECORD)) as file:
        file.write(json.dumps({"names": list(made.index), "attributes": attributes}).encode() + b"\n")
        try:
            file.write(array(_NUMBER, chain.from_iterable(made.index.values())))
        except OverflowError as error:  # an inode number of some network file system
            raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW), folder) from error


def read_record(folder: str) -> Made | None:
    """What lies beside the tree in `folder`, None when it cannot be read."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        with open(os.path.join(folder, RECORD), "rb") as file:
            document = json.loads(file.readline())
            numbers = array(_NUMBER, file.read())
        facts = zip(*[iter(numbers)] * len(Facts._fields), strict=True)
        attributes = {
            name: {attribute: bytes.fromhex(value) for attribute, value in values.items()}
            for name, values in document["attributes"].items()
        }
        names = document["names"]
        return Made(index=dict(zip(names, map(Facts._make, facts), strict=True)), attributes=attributes)
    return None


def restore(root: str, made: Made, pristine: Callable[[], str]) -> Made | None:
    """Bring the tree at `root` back to what `made` says it was; what it is like then.

    `pristine` gives a tree of the same content and is asked only for a file that was changed or removed. None when
    that is not worth it, or not possible: then the tree is of no more use.
    """
    index = made.index
    try:
        now = take_index(root, IgnoredPaths(), index)
        changed = [name for name, facts in index.items() if now.get(name) is not facts]
        if len(changed) > _MOST_CHANGED:
            return None
        for name in _topmost_new(now, index):
            remove(os.path.join(root, name))
        for name in sorted(changed):
            _put_back(root, name, index[name], pristine)
        parents = {name.rpartition("/")[0] for name in (*(now.keys() ^ index.keys()), *changed)}
        touched = parents.union(changed).intersection(index)
        for name in sorted(touched, reverse=True):
            if stat.S_ISDIR(index[name].mode):
                _describe_directory(os.path.join(root, name), index[name], made.attributes.get(name, {}))
        found = {name: facts_of(os.lstat(os.path.join(root, name))) for name in touched}
    except (OSError, Error, _Unrestorable):  # of a build that has failed no layer can be read any more
        return None
    await_next_tick(max((facts.ctime for facts in found.values()), default=0))
    return Made(index={**index, **found}, attributes=made.attributes)


class _Unrestorable(Exception):  # noqa: N818 - tells `restore` to give up
    """Something differs that a copy of one file does not bring back."""


def _topmost_new(now: Mapping[str, Facts], index: Index) -> Iterator[str]:
    return (name for name in now if name not in index and name.rpartition("/")[0] in index)


def _put_back(root: str, name: str, facts: Facts, pristine: Callable[[], str]) -> None:
    path = os.path.join(root, name)
    if stat.S_ISDIR(facts.mode):
        if os.path.islink(path) or not os.path.isdir(path):
            remove(path)
            os.mkdir(path)
        return
    original = os.path.join(pristine(), name)
    if os.lstat(original).st_nlink > 1:
        raise _Unrestorable  # its other names would have to become links to the new file
    remove(path)
    copy_tree(original, path, CopyRules())


def _describe_directory(path: str, facts: Facts, attributes: Mapping[str, bytes]) -> None:
    """Give a directory its owner, mode and times again."""
    if xattrs_of(path) != attributes:
        raise _Unrestorable
    os.chown(path, facts.uid, facts.gid)
    os.chmod(path, stat.S_IMODE(facts.mode))
    os.utime(path, ns=(facts.mtime, facts.mtime))
