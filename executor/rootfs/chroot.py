"""The chroot driver: a directory, copied from a flattened tree in the store; a snapshot compares all of it.

    <chain ID>-flat/fs    in the store: the layers of a chain applied one on another, never changed
    <chain ID>-spare/fs   in the store: a copy of that, between two builds; see spare.py
    <scratch>/root        such a copy (shared blocks where the file system can) that instructions change

Works without mounts. Without root it holds a tree all of whose entries belong to 0:0, and runs no commands.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Self

from executor.dataclass import replace
from executor.errors import Error, InternalError, UnfitError
from executor.image.layer import Layer, LayerEntry
from executor.rootfs import process, syscalls
from executor.rootfs.base import OnLine, OpenLayer, Probe, RunRequest
from executor.rootfs.confinement import Confinement
from executor.rootfs.confining import confined
from executor.rootfs.copytree import CopyRules, copy_tree
from executor.rootfs.layerdirs import TREE, chain_ids, new_tree
from executor.rootfs.mountinfo import mount_of
from executor.rootfs.namespaces import Privilege, current_privilege
from executor.rootfs.plainmounts import plain_mounts, refuse_unmountable
from executor.rootfs.plainrun import plain_run
from executor.rootfs.privileges import read_privileges
from executor.rootfs.propagation import make_mounts_private
from executor.rootfs.spare import restore
from executor.rootfs.trial import try_in_child
from executor.rootfs.unpack import apply_layer
from executor.snapshot.entries import describe
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Facts, Index, take_index
from executor.snapshot.scan import Baseline, Mode, ScanDiff
from executor.store import Store


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
        self.scratch: Callable[[str], str] = store.scratch
        self._mounts: bool | None = None

    @property
    def mounts(self) -> bool:
        """Whether commands can have mounts and process ids of their own; tried when first asked."""
        if self._mounts is None:
            self._mounts = try_in_child(_try_namespaces).usable
        return self._mounts

    def keep_roots_by(self, scratch: Callable[[str], str]) -> None:
        """Make roots in the directories that `scratch` gives, instead of in the store."""
        self.scratch = scratch

    @property
    def keeps_spares(self) -> bool:
        """Whether a root can be put into the store by a rename."""
        return self.scratch == self.store.scratch

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

    def open_root(self, layers: Sequence[Layer], open_layer: OpenLayer) -> ChrootRoot:
        """See `Driver.open_root`."""
        if not layers:
            return ChrootRoot(self, "", "", None)
        flattened = self._flattened(layers, open_layer)
        pristine = os.path.join(flattened, TREE)
        spare = f"{os.path.basename(flattened)}-spare"
        return ChrootRoot(self, pristine, pristine, None, spare=spare)

    def opens_at_once(self, layers: Sequence[Layer]) -> bool:
        """See `Driver.opens_at_once`: a root is a copy."""
        return not layers

    @contextmanager
    def prefetch(self, layers: Sequence[Layer], open_layer: OpenLayer) -> Iterator[None]:
        """See `Driver.prefetch`. What goes wrong here goes wrong again, and is told, when a root is opened."""

        def work() -> None:
            with suppress(Error):
                self._flattened(layers, open_layer)

        thread = Thread(target=work, name="unpack")
        if layers:
            thread.start()
        try:
            yield
        finally:
            if layers:
                thread.join()

    def _flattened(self, layers: Sequence[Layer], open_layer: OpenLayer) -> str:
        """The store's directory of the flattened layers, made from the longest beginning that is there."""
        keys = [chain_id.hex + ("-flat-squashed" if self.squash else "-flat") for chain_id in chain_ids(layers)]

        def fill(directory: str) -> None:
            present = next((n for n in range(len(keys) - 1, 0, -1) if self.store.unpacked.get(keys[n - 1])), 0)
            tree = os.path.join(directory, TREE)
            if present:
                beginning = self.store.unpacked.get(keys[present - 1]) or ""
                copy_tree(os.path.join(beginning, TREE), tree, CopyRules())
            else:
                new_tree(directory)
            for layer in layers[present:]:
                with open_layer(layer) as stream:
                    apply_layer(stream, tree, squash=self.squash)

        return self.store.unpacked.add(keys[-1], fill)


class ChrootRoot:
    """A root filesystem in a directory; see `RootFs`."""

    def __init__(
        self, driver: ChrootDriver, source: str, pristine: str, baseline: Baseline | None, *, spare: str = ""
    ) -> None:
        """A copy of `source` ('' for an empty root); `baseline` says what is known of it beside `pristine`.

        `spare` is the key under which the store keeps a copy for the next root, '' for none.
        """
        self._driver = driver
        self._scratch = driver.scratch("chroot")
        self._copied: Index = {}
        self._path = os.path.join(self._scratch, "root")
        self._diff: ScanDiff | None = None
        self._spare = spare if driver.keeps_spares and not driver.ignore else ""
        try:
            if source:
                self._fill(source)
            else:
                os.rename(new_tree(self._scratch), self._path)
            self._baseline = Baseline(
                index=take_index(self._path, driver.ignore),
                pristine=pristine,
                known=baseline.known if baseline else self._known_root(),
            )
            self._copied = self._baseline.index
        except OSError as error:
            self.close()
            raise UnfitError(f"cannot copy a root: {error.strerror}: {error.filename}") from error
        except BaseException:
            self.close()
            raise

    def _fill(self, source: str) -> None:
        taken = self._driver.store.unpacked.take(self._spare) if self._spare else None
        if taken:
            os.rename(os.path.join(taken, TREE), self._path)
            os.rmdir(taken)
        else:
            copy_tree(source, self._path, CopyRules())

    def _known_root(self) -> Mapping[str, LayerEntry]:
        """The root directory's entry: an empty root has no pristine tree that would say what it was like."""
        root = describe(self._path, "", os.lstat(self._path), squash=self._driver.squash)
        return {"": root} if root else {}

    @property
    def path(self) -> str:
        """See `RootFs.path`."""
        return self._path

    def run(self, request: RunRequest, on_line: OnLine) -> int:
        """See `RootFs.run`."""
        if self._driver.no_commands:
            raise UnfitError(
                f"cannot run a command: {self._driver.no_commands}",
                hint="`krunner doctor` shows what this machine allows and what to change",
            )
        if self._driver.mounts:
            with confined(self._path, request, self._scratch) as confinement:
                return process.run(request, replace(confinement, bind_root=True), on_line)
        refuse_unmountable(request, ChrootDriver.name)
        with (
            plain_run(self._path, self._scratch, request.scripts),
            plain_mounts(self._path, self._scratch, request.mounts),
        ):
            return process.run(request, Confinement(root=self._path, namespaces=False), on_line)

    def changes(self) -> ScanDiff:
        """See `RootFs.changes`."""
        driver = self._driver
        self._diff = ScanDiff(
            self._path, self._baseline, mode=driver.mode, ignore=driver.ignore, squash=driver.squash
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

    def set_aside(self) -> None:
        """See `RootFs.set_aside`: the next command may change what was not read yet."""

    def renamed(self, entries: Mapping[str, tuple[Facts, Facts]]) -> None:
        """Entries were moved away and back, which changed nothing but their ctime: their facts then and now."""
        index = {name: now for name, (then, now) in entries.items() if self._baseline.index.get(name) == then}
        self._baseline = replace(self._baseline, index={**self._baseline.index, **index})

    def fork(self) -> ChrootRoot:
        """See `RootFs.fork`."""
        if not self.changes().is_empty():
            raise InternalError("a root with changes cannot be forked")
        return ChrootRoot(self._driver, self._path, self._baseline.pristine, self._baseline)

    def close(self) -> None:
        """See `RootFs.close`. The tree is kept for the next root where it can be made what it was."""
        if self._spare and self._copied and restore(self._path, self._baseline.pristine, self._copied):
            kept = self._driver.store.scratch("spare")
            os.rename(self._path, os.path.join(kept, TREE))
            self._driver.store.unpacked.adopt(self._spare, kept)
        self._copied = {}
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


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
