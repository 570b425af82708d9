"""The chroot driver: a directory of the layers' files, which instructions change; a snapshot compares all of it.

Works without mounts. Without root it holds a tree all of whose entries belong to 0:0, and runs no commands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Self

from executor.dataclass import replace
from executor.errors import InternalError, UnfitError
from executor.image.layer import Layer
from executor.removal import remove_tree
from executor.rootfs.base import OnLine, OpenLayer, Probe, RunRequest, SetAside, T
from executor.rootfs.chroot.roottrees import RootTree, RootTrees, restored
from executor.rootfs.command import process
from executor.rootfs.command.confinement import Confinement
from executor.rootfs.command.confining import confined
from executor.rootfs.command.plainmounts import plain_mounts, refuse_unmountable
from executor.rootfs.command.plainrun import plain_run
from executor.rootfs.kernel import syscalls
from executor.rootfs.kernel.mountinfo import mount_of
from executor.rootfs.kernel.namespaces import Privilege, current_privilege
from executor.rootfs.kernel.privileges import read_privileges
from executor.rootfs.kernel.propagation import make_mounts_private
from executor.rootfs.kernel.trial import try_in_child
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, differences
from executor.snapshot.scan import Baseline, Mode, ScanDiff
from executor.snapshot.written import Written
from executor.store import Store

_MOST_ADDED = 256 << 20  # bytes that a build may leave in a tree until somebody wants it again


class ChrootDriver:
    """Roots as directories."""

    name = "chroot"

    def __init__(self, store: Store, *, ignore: IgnoredPaths | None = None, mode: Mode = "full") -> None:
        privilege = current_privilege()
        self.store = store
        self.ignore = ignore or IgnoredPaths()
        self.mode: Mode = mode
        self.squash = privilege in (Privilege.SINGLE_ID, Privilege.NONE)
        self.no_commands = _why_no_commands(privilege, store.home)
        self.trees = RootTrees(store, squash=self.squash, shared=True)
        self._mounts: bool | None = None
        self._unpacking: list[Thread] = []

    @property
    def mounts(self) -> bool:
        """Whether commands can have mounts and process ids of their own; tried when first asked."""
        if self._mounts is None:
            self._mounts = try_in_child(_try_namespaces).usable
        return self._mounts

    def make_trees_by(self, trees: RootTrees) -> None:
        """Have other trees for roots than those that several processes share."""
        self.trees = trees

    def forbid_mounts(self) -> None:
        """Do as where nothing may be mounted, whatever is allowed here."""
        self._mounts = False

    def probe(self) -> Probe:
        """Enter a directory of the store, in a forked child, where that is of use."""
        if self.no_commands:
            return Probe(True, f"without RUN: {self.no_commands}", commands=False)
        folder = self.store.scratch("probe")
        try:
            probe = try_in_child(lambda: _try_chroot(folder))
        finally:
            os.rmdir(folder)
        return probe if not probe.usable or self.mounts else Probe(True, "commands find an empty /proc")

    def expect_commands(self) -> None:
        """See `Driver.expect_commands`: there is nothing."""

    def open_root(self, layers: Sequence[Layer], open_layer: OpenLayer) -> ChrootRoot:
        """See `Driver.open_root`."""
        return ChrootRoot(self, self.trees.take(layers, open_layer) if layers else self.trees.empty())

    def opens_at_once(self, layers: Sequence[Layer]) -> bool:
        """See `Driver.opens_at_once`: a tree is copied or unpacked for each root."""
        return not layers

    @contextmanager
    def prefetch(self, layers: Sequence[Layer], open_layer: OpenLayer) -> Iterator[None]:
        """See `Driver.prefetch`. What goes wrong here goes wrong again, and is told, when a root is opened."""

        def work() -> None:
            with suppress(Exception):
                self.trees.prepare(layers, open_layer)

        thread = Thread(target=work, name="unpack")
        if layers:
            self.trees.announce(layers)
            self._unpacking.append(thread)
            thread.start()
        try:
            yield
        finally:
            self.await_trees()

    def await_trees(self) -> None:
        """Wait until nothing is unpacked in the background."""
        while self._unpacking:
            self._unpacking[-1].join()
            self._unpacking.pop()


class ChrootRoot:
    """A root filesystem in a directory; see `RootFs`."""

    def __init__(self, driver: ChrootDriver, tree: RootTree, written: Written | None = None) -> None:
        """`written` says what entries of the tree are like that were written into layers."""
        self._driver = driver
        self._tree = tree
        self._diff: ScanDiff | None = None
        self._settled = True
        made = tree.made
        self._baseline = Baseline(
            index=made.index.without(driver.ignore),
            attributes=made.attributes,
            pristine=tree.pristine,
            written=written or Written(),
        )

    @property
    def path(self) -> str:
        """See `RootFs.path`."""
        return self._tree.path

    def run(self, request: RunRequest, on_line: OnLine) -> int:
        """See `RootFs.run`."""
        if self._driver.no_commands:
            raise UnfitError(
                f"cannot run a command: {self._driver.no_commands}",
                hint="`krunner doctor` shows what this machine allows and what to change",
            )
        self._settled = False
        if self._driver.mounts:
            with confined(self.path, request, self._tree.folder) as confinement:
                return process.run(request, replace(confinement, bind_root=True), on_line)
        refuse_unmountable(request, ChrootDriver.name)
        with (
            plain_run(self.path, self._tree.folder, request.scripts),
            plain_mounts(self.path, self._tree.folder, request.mounts),
        ):
            return process.run(request, Confinement(root=self.path, namespaces=False), on_line)

    def changes(self) -> ScanDiff:
        """See `RootFs.changes`."""
        driver = self._driver
        self._diff = ScanDiff(
            self.path, self._baseline, mode=driver.mode, ignore=driver.ignore, squash=driver.squash
        )
        return self._diff

    def commit(self, layer: Layer | None) -> None:
        """See `RootFs.commit`."""
        diff = self._diff
        if layer is None or diff is None or diff.after is None:
            diff = self.changes()
            for _ in diff:
                pass
        if diff.after:
            self._baseline = diff.after
        self._diff = None
        self._settled = True

    def set_aside(self, _begin: Callable[[SetAside], T], /) -> None:
        """See `RootFs.set_aside`: the next command may change what was not read yet."""

    def renamed(self, entries: Mapping[str, tuple[Facts, Facts]]) -> None:
        """Entries were moved away and back, which changed nothing but their ctime: their facts then and now."""
        self._settled = False
        self._baseline = replace(self._baseline, index=_moved_on(self._baseline.index, entries))
        made = replace(self._tree.made, index=_moved_on(self._tree.made.index, entries))
        self._tree = replace(self._tree, made=made)

    def fork(self) -> ChrootRoot:
        """See `RootFs.fork`."""
        if not self.changes().is_empty():
            raise InternalError("a root with changes cannot be forked")
        copy = self._driver.trees.copied(self.path, self._baseline.pristine)
        return ChrootRoot(self._driver, copy, self._baseline.written)

    def close(self) -> None:
        """See `RootFs.close`. The tree is kept for the next root that begins with the same layers."""
        tree: RootTree | None = self._tree
        if tree and tree.spare and os.path.isdir(tree.path):
            if not self._settled or self._added() > _MOST_ADDED:
                tree = restored(tree)
            if tree:
                self._driver.trees.keep(tree)
        remove_tree(self._tree.folder)

    def _added(self) -> int:
        """The bytes that the build added to its base."""
        added = differences(self._tree.made.index, self._baseline.index)
        return sum(now.size for _, _, now in added if now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _moved_on(index: Index, entries: Mapping[str, tuple[Facts, Facts]]) -> Index:
    return index.with_facts({name: now for name, (then, now) in entries.items() if index.get(name) == then})


def _why_no_commands(privilege: Privilege, home: str) -> str:
    """Why no command can be run in a directory of the store, '' when nothing is known to stand in the way."""
    if privilege is Privilege.NONE:
        return "this needs root or user namespaces"
    mount = mount_of(home)
    return "" if mount is None or mount.executable else f"{mount.point} is mounted noexec"


def _try_chroot(folder: str) -> None:
    try:
        os.chroot(folder)
    except OSError as error:
        missing = "CAP_SYS_CHROOT" not in read_privileges().capabilities
        raise UnfitError("CAP_SYS_CHROOT is missing" if missing else f"chroot: {error.strerror}") from error


def _try_namespaces() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    make_mounts_private()
    syscalls.unshare(syscalls.CLONE_NEWPID)
