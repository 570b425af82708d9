"""A tree of a base after a build, made what it was before, for the next root on the same layers.

    <key>/fs          the tree, with what the build did to it
    <key>/made        what it was like when the layers had just made it; see record.py

Unpacking the 10,000 files of a usual base takes more than a second; finding what a build changed takes a tenth of
that, and undoing it less. It is undone when somebody wants the tree: mostly nobody does. Whatever befell the tree
meanwhile is found by the same comparison, as no change of a file leaves its ctime alone; `made` must be trusted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from executor.errors import Error
from executor.removal import remove
from executor.rootfs.chroot.record import Made
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.snapshot.entries import xattrs_of
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, await_next_tick, differences, facts_of, take_index

_MOST_CHANGED = 2000  # beyond that, a new tree is cheaper


def restore(root: str, made: Made, pristine: Callable[[], str]) -> Made | None:
    """Bring the tree at `root` back to what `made` says it was; what it is like then.

    `pristine` gives a tree of the same content and is asked only for a file that was changed or removed. None when
    that is not worth it, or not possible: then the tree is of no more use.
    """
    index = made.index
    try:
        now = take_index(root, IgnoredPaths(), index)
        changed = dict(islice(_changed(index, now), _MOST_CHANGED + 1))
        if len(changed) > _MOST_CHANGED:
            return None
        touched = set(changed)
        for name in _topmost_new(index, now):
            remove(os.path.join(root, name))
            touched.add(name.rpartition("/")[0])
        for name in sorted(changed):
            _put_back(root, name, changed[name], pristine)
            touched.add(name.rpartition("/")[0])
        found = dict(_described(root, sorted(touched, reverse=True), made))
    except (OSError, Error, _Unrestorable):  # of a build that has failed no layer can be read any more
        return None
    await_next_tick(max((facts.ctime for facts in found.values()), default=0))
    return Made(index=index.with_facts(found), attributes=made.attributes)


class _Unrestorable(Exception):  # noqa: N818 - tells `restore` to give up
    """Something differs that a copy of one file does not bring back."""


def _changed(index: Index, now: Index) -> Iterator[tuple[str, Facts]]:
    """What is gone or not as it was, with what it was like."""
    return ((name, before) for name, before, _ in differences(index, now) if before)


def _topmost_new(index: Index, now: Index) -> Iterator[str]:
    """What is new in the directories that there were."""
    new = (name for name, before, _ in differences(index, now) if before is None)
    return (name for name in new if name.rpartition("/")[0] in index.listings)


def _described(root: str, names: Iterable[str], made: Made) -> Iterator[tuple[str, Facts]]:
    """Give those of `names` that are directories what they had; the facts of all of them then."""
    for name in names:
        path, facts = os.path.join(root, name), made.index.get(name)
        if facts and stat.S_ISDIR(facts.mode):
            _describe_directory(path, facts, made.attributes.get(name, {}))
        yield name, facts_of(os.lstat(path))


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
    if xattrs_of(path) != attributes or not facts.is_dated:
        raise _Unrestorable
    os.chown(path, facts.uid, facts.gid)
    os.chmod(path, stat.S_IMODE(facts.mode))
    os.utime(path, ns=(facts.mtime, facts.mtime))
