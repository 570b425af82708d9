"""The overlay driver: layers are unpacked once and stacked by overlayfs; a snapshot reads the upper directory.

<scratch>/root        the mount, and the path of the root all its life
<scratch>/N/fs        the upper directory since commit N; a commit makes it a lower layer and mounts anew, so that
                      its changes can be read while the next ones are made
<scratch>/work-N      overlayfs's own
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

from executor.errors import Error, InternalError, UnfitError
from executor.image.layer import EntryType, Layer, LayerEntry
from executor.removal import remove, remove_tree
from executor.rootfs.base import OnLine, OpenLayer, Probe, RunRequest, SetAside, T
from executor.rootfs.command import process
from executor.rootfs.command.confining import confined
from executor.rootfs.files.unpack import XattrNamespace
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.mountinfo import mount_of
from executor.rootfs.kernel.namespaces import Privilege, current_privilege, isolate_mounts
from executor.rootfs.kernel.refusals import overlay_refused
from executor.rootfs.kernel.trial import try_in_child
from executor.rootfs.overlay.layerdirs import LayerDirectories, describes_root
from executor.rootfs.overlay.overlaymount import OverlayMount, mount_overlay
from executor.snapshot.changes import Change, Siblings
from executor.snapshot.entries import describe
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.overlaydiff import Overlay, OverlayDiff
from executor.store import Store
from executor.store.unpacked import TREE

_PLAIN_ROOT = LayerEntry(name="", type=EntryType.DIRECTORY, mode=0o755)


class OverlayDriver:
    """Roots as overlay mounts, in this process's mount namespace."""

    name = "overlay"

    def __init__(self, store: Store, *, ignore: IgnoredPaths | None = None) -> None:
        privilege = current_privilege()
        self.store = store
        self.ignore = ignore or IgnoredPaths()
        self.squash = privilege in (Privilege.SINGLE_ID, Privilege.NONE)
        self.namespace: XattrNamespace = "trusted" if privilege is Privilege.ROOT else "user"
        self.directories = LayerDirectories(store.unpacked, namespace=self.namespace, squash=self.squash)

    def probe(self) -> Probe:
        """Mount a small overlay in a forked child, and remove a lower file in it: some mounts fail only then."""
        return try_in_child(self._try)

    def expect_commands(self) -> None:
        """See `Driver.expect_commands`: there is nothing."""

    def open_root(self, layers: Sequence[Layer], open_layer: OpenLayer) -> OverlayRoot:
        """See `Driver.open_root`."""
        directories = self.directories.get(layers, open_layer)
        lowers = [_Lower(os.path.join(path, TREE)) for path in reversed(directories)]
        root = _PLAIN_ROOT
        for directory in directories:
            if describes_root(directory):
                root = _describe_root(os.path.join(directory, TREE), squash=self.squash)
        return OverlayRoot(self, lowers, root)

    def opens_at_once(self, layers: Sequence[Layer]) -> bool:
        """See `Driver.opens_at_once`."""
        return self.directories.has(layers)

    @contextmanager
    def prefetch(self, layers: Sequence[Layer], open_layer: OpenLayer) -> Iterator[None]:
        """See `Driver.prefetch`. What goes wrong here goes wrong again, and is told, when a root is opened."""
        with self.directories.unpacking(layers, open_layer):
            yield

    def _try(self) -> None:
        isolate_mounts()
        folder = self.store.scratch("probe")
        lower, upper, work, target = (os.path.join(folder, name) for name in ("lower", "upper", "work", "root"))
        try:
            for path in (lower, upper, work, target, os.path.join(lower, "d")):
                os.mkdir(path)
            self._try_overlay(
                OverlayMount(
                    target=target, lowers=[lower], upper=upper, work=work, user_xattrs=self.namespace == "user"
                )
            )
        finally:
            remove_tree(folder)

    def _try_overlay(self, overlay: OverlayMount) -> None:
        try:
            mount_overlay(overlay)
        except OSError as error:
            home = self.store.home
            raise UnfitError(overlay_refused(error, home, mount_of(home))) from error
        try:
            os.rmdir(os.path.join(overlay.target, "d"))
            os.mkdir(os.path.join(overlay.target, "d"))
        except OSError as error:
            raise UnfitError(f"overlayfs cannot remove and replace a directory: {error.strerror}") from error
        finally:
            syscalls.unmount(overlay.target, syscalls.MNT_DETACH)


class _Lower:
    """A lower directory. One that is `owned` is not in the store: it goes with the last root that stacks it.

    `keep`, if set by then, may take it into the store instead.
    """

    def __init__(self, path: str, *, owned: str = "") -> None:
        self.path = path
        self.keep: Callable[[], object] | None = None
        self._owned = owned
        self._users = 0

    def acquire(self) -> None:
        self._users += 1

    def release(self) -> None:
        self._users -= 1
        if not self._users and self._owned:
            if self.keep:
                with suppress(OSError, Error):  # it can be unpacked again
                    self.keep()
            remove_tree(self._owned)


class _SetAside:
    """A commit whose changes are read later; see `SetAside`."""

    def __init__(self, driver: OverlayDriver, lower: _Lower, diff: OverlayDiff, *, describes_root: bool) -> None:
        self._driver = driver
        self._lower = lower
        self._diff = diff
        self._describes_root = describes_root

    @property
    def changes(self) -> Iterator[Change | Siblings]:
        """See `SetAside.changes`."""
        return self._diff.grouped()

    def became(self, layer: Layer) -> None:
        """See `SetAside.became`. Not before the last root is done with the directory: it is mounted as it is."""
        if self._diff.finished and self._diff.complete:
            self._lower.keep = lambda: self._adopt(layer)

    def _adopt(self, layer: Layer) -> None:
        tree = self._lower.path
        _remove_surplus(tree, self._diff)
        self._driver.directories.adopt(layer, os.path.dirname(tree), describes_root=self._describes_root)


class OverlayRoot:
    """A root filesystem on an overlay; see `RootFs`."""

    def __init__(self, driver: OverlayDriver, lowers: Sequence[_Lower], root: LayerEntry) -> None:
        """`lowers` has the topmost first; `root` is what the root directory is like."""
        self._driver = driver
        self._lowers = list(lowers)
        self._root = root
        self._scratch = driver.store.scratch("overlay")
        self._generation = 0
        self._diff: OverlayDiff | None = None
        self._path = os.path.join(self._scratch, "root")
        for lower in self._lowers:
            lower.acquire()
        try:
            os.mkdir(self._path)
            os.mkdir(os.path.join(self._scratch, "empty"))
            self._mount()
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> str:
        """See `RootFs.path`."""
        return self._path

    def run(self, request: RunRequest, on_line: OnLine) -> int:
        """See `RootFs.run`."""
        with confined(self._path, request, self._scratch) as confinement:
            return process.run(request, confinement, on_line)

    def changes(self) -> OverlayDiff:
        """See `RootFs.changes`."""
        self._diff = self._diff_of(os.path.join(self._upper, TREE))
        return self._diff

    def commit(self, layer: Layer | None) -> None:
        """See `RootFs.commit`. The upper directory becomes a lower one, the store's if it is all in `layer`."""
        diff = self._diff if layer else None
        if diff is None or not diff.finished:
            diff = self.changes()
            if not sum(1 for _ in diff):
                return
        root = _describe_root(self._path, squash=self._driver.squash)
        self._unmount()
        self._stack(self._keep(layer, diff, describes_root=_differs(root, self._root)), root)

    def set_aside(self, begin: Callable[[SetAside], T], /) -> T:
        """See `RootFs.set_aside`. The kernel forgets file by file what it knew of the mount, 2 µs each."""
        root = _describe_root(self._path, squash=self._driver.squash)
        lower = self._move_upper()  # from under the mount, which nobody uses any more
        diff = self._diff_of(lower.path)
        begun = begin(_SetAside(self._driver, lower, diff, describes_root=_differs(root, self._root)))
        self._diff = None
        self._unmount()
        self._stack(lower, root)
        return begun

    def fork(self) -> OverlayRoot:
        """See `RootFs.fork`."""
        if not self.changes().is_empty():
            raise InternalError("a root with changes cannot be forked")
        return OverlayRoot(self._driver, self._lowers, self._root)

    def close(self) -> None:
        """See `RootFs.close`."""
        self._unmount()
        for lower in self._lowers:
            lower.release()
        self._lowers.clear()
        remove_tree(self._scratch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def _upper(self) -> str:
        return os.path.join(self._scratch, str(self._generation))

    def _diff_of(self, upper: str) -> OverlayDiff:
        lowers = [lower.path for lower in self._lowers]
        overlay = Overlay(upper=upper, lowers=lowers, namespace=self._driver.namespace)
        return OverlayDiff(overlay, self._root, ignore=self._driver.ignore, squash=self._driver.squash)

    def _stack(self, lower: _Lower, root: LayerEntry) -> None:
        """Go on above `lower`; the root directory is like `root` now."""
        lower.acquire()
        self._lowers.insert(0, lower)
        self._root = root
        self._generation += 1
        self._mount()

    def _move_upper(self) -> _Lower:
        """The upper directory as a lower one that goes with the roots that stack it."""
        kept = self._driver.store.scratch("layer")
        os.rename(os.path.join(self._upper, TREE), os.path.join(kept, TREE))
        return _Lower(os.path.join(kept, TREE), owned=kept)

    def _keep(self, layer: Layer | None, diff: OverlayDiff, *, describes_root: bool) -> _Lower:
        if layer is None or not diff.complete:
            return self._move_upper()
        _remove_surplus(os.path.join(self._upper, TREE), diff)
        adopted = self._driver.directories.adopt(layer, self._upper, describes_root=describes_root)
        return _Lower(os.path.join(adopted, TREE))

    def _mount(self) -> None:
        tree, work = os.path.join(self._upper, TREE), os.path.join(self._scratch, f"work-{self._generation}")
        os.makedirs(tree)
        os.mkdir(work)
        self._describe(tree)
        lowers = [lower.path for lower in self._lowers] or [os.path.join(self._scratch, "empty")]
        mount = OverlayMount(
            target=self._path,
            lowers=lowers,
            upper=tree,
            work=work,
            user_xattrs=self._driver.namespace == "user",
        )
        try:
            mount_overlay(mount)
        except OSError as error:
            raise UnfitError(
                f"cannot mount an overlay of {len(lowers)} layers: {error.strerror}",
                hint="use --rootfs=chroot, or put KRUNNER_HOME on a disk that overlayfs takes as upper directory",
            ) from error

    def _describe(self, tree: str) -> None:
        """Give the upper root directory what the root directory had: overlayfs shows the upper one's."""
        if not self._driver.squash:
            os.chown(tree, self._root.uid, self._root.gid)
        os.chmod(tree, self._root.mode)
        for name, value in self._root.xattrs.items():
            os.setxattr(tree, name, value)
        os.utime(tree, ns=(self._root.mtime_ns, self._root.mtime_ns))

    def _unmount(self) -> None:
        with suppress(OSError):  # not mounted
            syscalls.unmount(self._path, syscalls.MNT_DETACH)


def _describe_root(path: str, *, squash: bool) -> LayerEntry:
    return describe(path, "", os.lstat(path), squash=squash) or _PLAIN_ROOT


def _differs(now: LayerEntry, before: LayerEntry) -> bool:
    return (now.mode, now.uid, now.gid, now.xattrs) != (before.mode, before.uid, before.gid, before.xattrs)


def _remove_surplus(tree: str, diff: OverlayDiff) -> None:
    """The store's copy of a layer must be what the layer's tar says, on any base."""
    for name in diff.surplus:
        remove(os.path.join(tree, name))
