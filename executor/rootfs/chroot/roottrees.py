"""Where the trees of the chroot and the in-place driver's roots come from.

    <chain ID>-flat/fs     in the store: the layers of a chain applied one on another, never changed
    <chain ID>-spare/fs    in the store: such a tree after a build; see spare.py
    <session>/unpack-…/fs  a tree of one root

Copying a tree is a third of the work of unpacking it, and unpacking alone is less than both. So with `shared`
(several processes may want the same at once) a flat tree is unpacked and copied for each root. Else a tree is
unpacked for its root alone; it is copied when more roots were announced, before the first begins to change it, and
a flat tree is made only for who asks what a file was like.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from threading import Lock, RLock

from executor.dataclass import dataclass, replace
from executor.errors import UnfitError
from executor.image.layer import Layer, chain_ids
from executor.removal import remove_tree
from executor.rootfs.base import OpenLayer
from executor.rootfs.chroot.record import RECORD, Made, read_record, write_record
from executor.rootfs.chroot.spare import restore
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.rootfs.files.unpack import apply_layer
from executor.store import Store
from executor.store.unpacked import TREE, new_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class RootTree:
    """A tree for one root: `folder`/fs, what it was like when it was made, and the store's key for it afterwards.

    `pristine` gives a tree with the same content that does not change. `spare` is '' when it is not to be kept.
    """

    folder: str
    made: Made
    pristine: Callable[[], str] | None = None
    spare: str = ""

    @property
    def path(self) -> str:
        """The tree."""
        return os.path.join(self.folder, TREE)


class RootTrees:
    """Makes trees in `store`. Safe for several threads."""

    def __init__(self, store: Store, *, squash: bool, shared: bool) -> None:
        self._store = store
        self._squash = squash
        self._shared = shared
        self._lock = Lock()
        self._locks: defaultdict[str, RLock] = defaultdict(RLock)
        self._ready: dict[str, list[RootTree]] = defaultdict(list)
        self._wanted: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, int] = defaultdict(int)
        self._suspects: set[str] = set()

    def announce(self, layers: Sequence[Layer]) -> None:
        """A tree of `layers` is going to be taken."""
        with self._lock:
            self._wanted[self._keys(layers)[-1]] += 1

    def prepare(self, layers: Sequence[Layer], open_layer: OpenLayer) -> None:
        """Make a tree for whoever takes one next, unless there is one. Raises what `take` raises."""
        key = self._keys(layers)[-1]
        with self._locks[key]:
            if not self._ready[key]:
                self._ready[key].append(self._make(layers, open_layer))

    def take(self, layers: Sequence[Layer], open_layer: OpenLayer) -> RootTree:
        """A tree of `layers` for the caller alone.

        Raises ImageError for a malformed layer, UnfitError when this machine cannot hold the tree.
        """
        key = self._keys(layers)[-1]
        with self._lock:
            self._waiting[key] += 1
        with self._locks[key]:
            try:
                tree = self._ready[key].pop() if self._ready[key] else None
                if tree and tree.folder in self._suspects:
                    tree = restored(tree)
                tree = tree or self._make(layers, open_layer)
            finally:
                more = self._is_wanted_again(key)
            if more and not self._ready[key]:
                self._ready[key].append(self.copied(tree.path, tree.pristine, tree.spare))
            return tree

    def _is_wanted_again(self, key: str) -> bool:
        """Count one tree as taken; whether another was announced, or somebody waits for one now."""
        with self._lock:
            self._waiting[key] -= 1
            self._wanted[key] = max(0, self._wanted[key] - 1)
            return self._wanted[key] > 0 or self._waiting[key] > 0

    def suspect(self) -> None:
        """A command has been where the trees are that wait here: they are compared before they are used."""
        with self._lock:
            self._suspects.update(tree.folder for trees in self._ready.values() for tree in trees)

    def empty(self) -> RootTree:
        """A tree with nothing in it."""
        with self._folder() as folder:
            return RootTree(folder=folder, made=Made.of(new_tree(folder)))

    def copied(self, source: str, pristine: Callable[[], str] | None, spare: str = "") -> RootTree:
        """A copy of the tree at `source`. Raises UnfitError when the disk refuses."""
        with self._folder() as folder:
            tree = os.path.join(folder, TREE)
            copy_tree(source, tree, CopyRules())
            return RootTree(folder=folder, made=Made.of(tree), pristine=pristine, spare=spare)

    def keep(self, tree: RootTree) -> None:
        """Put a tree that its root is done with into the store; `tree.made` says what is to be undone later."""
        kept = self._store.scratch("spare")
        try:
            write_record(kept, tree.made)
            os.rename(tree.path, os.path.join(kept, TREE))
            self._store.unpacked.adopt(tree.spare, kept)
        except OSError:  # then the next one has to be made anew
            remove_tree(kept)

    def flattened(self, layers: Sequence[Layer], open_layer: OpenLayer) -> str:
        """The store's tree of `layers`, which never changes; made from the longest beginning that is there."""

        def fill(directory: str) -> None:
            self._fill(directory, layers, open_layer)

        return os.path.join(self._store.unpacked.add(f"{self._keys(layers)[-1]}-flat", fill), TREE)

    def _make(self, layers: Sequence[Layer], open_layer: OpenLayer) -> RootTree:
        key = self._keys(layers)[-1]
        pristine = cache(partial(self.flattened, layers, open_layer))
        spare = f"{key}-spare"
        if kept := self._restored(key, pristine):
            return kept
        if self._shared or self._store.unpacked.get(f"{key}-flat"):
            return self.copied(pristine(), pristine, spare)
        with self._folder() as folder:
            tree = self._fill(folder, layers, open_layer)
            return RootTree(folder=folder, made=Made.of(tree), pristine=pristine, spare=spare)

    def _fill(self, folder: str, layers: Sequence[Layer], open_layer: OpenLayer) -> str:
        """Make the tree of `layers` in `folder`."""
        tree = os.path.join(folder, TREE)
        done = self._begin(tree, layers, open_layer)
        if not done:
            new_tree(folder)
        for layer in layers[done:]:
            with open_layer(layer) as stream:
                apply_layer(stream, tree, squash=self._squash)
        return tree

    def _begin(self, tree: str, layers: Sequence[Layer], open_layer: OpenLayer) -> int:
        """Copy to `tree` what the store has of the longest beginning of `layers`; how many of them those are."""
        keys = self._keys(layers)
        for count in range(len(keys), 0, -1):
            if flat := self._store.unpacked.get(f"{keys[count - 1]}-flat"):
                copy_tree(os.path.join(flat, TREE), tree, CopyRules())
                return count
            pristine = partial(self.flattened, layers[:count], open_layer)
            if kept := self._restored(keys[count - 1], pristine):
                copy_tree(kept.path, tree, CopyRules())
                self.keep(kept)
                remove_tree(kept.folder)
                return count
        return 0

    def _restored(self, key: str, pristine: Callable[[], str]) -> RootTree | None:
        """The store's spare tree as its layers made it, None when there is none that can be made that again."""
        folder = self._store.unpacked.take(f"{key}-spare")
        made = read_record(folder) if folder else None
        if folder and made:
            os.unlink(os.path.join(folder, RECORD))
            return restored(RootTree(folder=folder, made=made, pristine=pristine, spare=f"{key}-spare"))
        if folder:
            remove_tree(folder)
        return None

    def _keys(self, layers: Sequence[Layer]) -> list[str]:
        suffix = "-squashed" if self._squash else ""
        return [f"{chain_id.hex}{suffix}" for chain_id in chain_ids(layers)]

    @contextmanager
    def _folder(self) -> Iterator[str]:
        """A directory for a tree, which is gone when making it fails."""
        folder = self._store.scratch("unpack")
        try:
            yield folder
        except OSError as error:
            remove_tree(folder)
            raise UnfitError(f"cannot make a root: {error.strerror}: {error.filename}") from error
        except BaseException:
            remove_tree(folder)
            raise


def restored(tree: RootTree) -> RootTree | None:
    """The tree as it was made, after whatever was done to it; None when that is not to be had, and it is gone."""
    made = restore(tree.path, tree.made, tree.pristine or _nowhere)
    if made is None:
        remove_tree(tree.folder)
        return None
    return replace(tree, made=made)


def _nowhere() -> str:
    raise FileNotFoundError
