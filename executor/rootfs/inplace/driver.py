"""The in-place driver: for containers where nothing may be mounted, RUN works in the container's own `/`.

A root is a directory, as in the chroot driver, and a snapshot compares it. It takes the place of `/` only while a
command runs (see `takeover`); between commands the container is as it was, whatever became of the command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from typing import Self

from executor.errors import StepError, UnfitError
from executor.image.layer import Layer
from executor.ownroot import FOLDER, HOME
from executor.rootfs.base import OnLine, OpenLayer, Probe, RunRequest, SetAside, T
from executor.rootfs.chroot.driver import ChrootDriver, ChrootRoot
from executor.rootfs.chroot.record import RECORD
from executor.rootfs.chroot.roottrees import RootTrees
from executor.rootfs.command import process
from executor.rootfs.command.confinement import Confinement
from executor.rootfs.command.plainmounts import plain_mounts, refuse_unmountable, write_secrets
from executor.rootfs.command.runmounts import write_scripts
from executor.rootfs.files.safepath import resolve
from executor.rootfs.inplace import guard
from executor.rootfs.inplace.bystanders import Bystanders
from executor.rootfs.inplace.footholds import Footholds
from executor.rootfs.inplace.heldsignals import HeldSignals
from executor.rootfs.inplace.keeper import watched
from executor.rootfs.inplace.lentdev import LentDev
from executor.rootfs.inplace.lentfiles import LentFiles
from executor.rootfs.inplace.lentipc import LentIpc
from executor.rootfs.inplace.mentions import mentioned, walks_everything
from executor.rootfs.inplace.ownfiles import OwnFiles
from executor.rootfs.inplace.recovery import WayBack, alone
from executor.rootfs.inplace.sealing import begin_sealing, descriptors, seal
from executor.rootfs.inplace.takeover import Takeover
from executor.rootfs.inplace.treestore import store_of_trees
from executor.rootfs.kernel.mountinfo import mount_of, mounts
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import await_next_tick
from executor.snapshot.scan import Mode, ScanDiff
from executor.store import Store

_STAYS = (HOME, "/busybox")
_CHANGES = (FOLDER, os.path.join(HOME, "tmp"))
_SECRETS = "/dev/krunner-secrets"
_A_CONTAINERS_OWN = frozenset({"/dev", "/proc", "/sys", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
_SWITCH_INTERVAL = 5e-4
"""Seconds after which a thread that computes lets others go on: here thousands of short system calls are made, and
answers of registries read, and after each of them a thread would else wait for its turn for the usual 5 ms."""


class InPlaceDriver:
    """Roots as directories that take the place of `/` while a command runs."""

    name = "in-place"

    def __init__(
        self,
        store: Store,
        *,
        ignore: IgnoredPaths | None = None,
        mode: Mode = "full",
        gives_way: bool = False,
        written: Collection[str] = (),
    ) -> None:
        """With `gives_way` a command runs by chroot when the image has something where our own has to stay.

        `written` are paths of this container that stay, too: others write to them meanwhile.
        """
        self.store = store
        self.open_trees: set[str] = set()
        self.unpacked = _folders_of_layers(store)
        """The folders with unpacked layers, which no command may change."""
        self._written = frozenset(map(os.path.abspath, written))
        self._trees = ChrootDriver(store, ignore=ignore, mode=mode)
        self._trees.forbid_mounts()
        self._gives_way = gives_way
        self._own = tuple(f"{path}/" for path in (*_STAYS, os.path.realpath(store.home)))
        self.own_files = OwnFiles(FOLDER, kept=(*_STAYS, "/bin", "/etc"))

    def probe(self) -> Probe:
        """Ask the guard, and rename a directory of the store into the folder for what is put aside."""
        try:
            guard.permit()
        except UnfitError as error:
            return Probe(False, error.message)
        try:
            os.makedirs(FOLDER, mode=0o700, exist_ok=True)
            trees = store_of_trees(self.store)
        except OSError as error:
            return Probe(False, f"{error.filename} cannot be used: {error.strerror}")
        except UnfitError as error:
            return Probe(False, error.message)
        self._trees.make_trees_by(RootTrees(trees, squash=False, shared=False))
        self.unpacked = _folders_of_layers(self.store, trees)
        if (mount := mount_of(FOLDER)) and mount.point != "/":
            return Probe(False, f"{FOLDER} must be on the file system of /, not on {mount.point}")
        guard.keep_to_oneself()
        return Probe(True)

    def conflict(self, tree: str, request: RunRequest) -> str:
        """The path for which the command should not run in place in `tree` but by chroot, '' when there is none.

        Raises UnfitError when the command would work in a directory of this container itself, as its workspace.
        """
        stays = [path for path in sorted(self.staying()) if not _is_a_containers_own(path)]
        if self._gives_way and (found := self._wanted(tree, stays, request)):
            by_chroot = self._trees.probe()
            if by_chroot.usable and by_chroot.commands:
                return found
        if any(f"{request.cwd}/".startswith(f"{path}/") for path in stays):
            raise UnfitError(
                f"no command can run in {request.cwd} in place: this container uses that directory itself",
                hint="mount it elsewhere in the container, or use --rootfs=chroot",
            )
        return ""

    def _wanted(self, tree: str, stays: Sequence[str], request: RunRequest) -> str:
        """The first of the paths that stay that the image has or the command speaks of, '' for none.

        Other stages of the build are such a path too, for a command that goes through everything.
        """
        if len(self.open_trees) > 1 and walks_everything(request):
            return "the place of other stages"
        has = next((path for path in stays if os.path.lexists(resolve(tree, path))), "")
        return has or mentioned(tree, [path for path in stays if not f"{path}/".startswith(self._own)], request)

    def staying(self) -> frozenset[str]:
        """The paths of this container that no image may take."""
        return self._written - {"/"} | staying(self.store.home)

    def expect_commands(self) -> None:
        """See `Driver.expect_commands`: the container's own files are copied, and modules taken into memory."""
        sys.setswitchinterval(_SWITCH_INTERVAL)
        self.own_files.begin_copying(_left_out(self.staying()))
        begin_sealing()

    def open_root(self, layers: Sequence[Layer], open_layer: OpenLayer) -> InPlaceRoot:
        """See `Driver.open_root`."""
        return InPlaceRoot(self, self._trees.open_root(layers, open_layer))

    def opens_at_once(self, layers: Sequence[Layer]) -> bool:
        """See `Driver.opens_at_once`."""
        return self._trees.opens_at_once(layers)

    def await_trees(self) -> None:
        """Wait until nothing is unpacked in the background: a command could change what is not yet known."""
        self._trees.await_trees()

    def suspect_trees(self) -> None:
        """A command could have changed the trees that are ready for other roots."""
        self._trees.trees.suspect()

    def prefetch(self, layers: Sequence[Layer], open_layer: OpenLayer) -> AbstractContextManager[None]:
        """See `Driver.prefetch`."""
        return self._trees.prefetch(layers, open_layer)


class InPlaceRoot:
    """A root filesystem in a directory; see `RootFs`."""

    def __init__(self, driver: InPlaceDriver, tree: ChrootRoot) -> None:
        self._driver = driver
        self._tree = tree
        driver.open_trees.add(tree.path)

    @property
    def path(self) -> str:
        """See `RootFs.path`."""
        return self._tree.path

    def run(self, request: RunRequest, on_line: OnLine) -> int:
        """See `RootFs.run`. Lines that say which paths of the image cannot be seen come before the command's."""
        seal()
        memory = _SECRETS if _is_memory("/dev") else ""
        refuse_unmountable(request, InPlaceDriver.name, memory)
        if conflict := self._driver.conflict(self.path, request):
            on_line(f"{conflict} is in use in this container: running by chroot, without /proc")
            with LentIpc().lent():
                return self._tree.run(request, on_line)
        self._driver.await_trees()
        with (
            alone() as turn,
            HeldSignals() as held,
            self._way_back(turn, request, on_line) as way,
            plain_mounts(self.path, os.path.dirname(self.path), request.mounts, memory),
            self._in_place(way) as hidden,
            held.released(),
        ):
            for path in sorted(hidden.difference(_A_CONTAINERS_OWN)):
                on_line(f"{path} of the image cannot be seen: this container needs its own")
            write_secrets(_SECRETS, request.mounts)
            write_scripts("/dev", request.scripts)
            tick = partial(await_next_tick, way.takeover.moved_at)  # which goes by while processes are forked
            return process.run(request, Confinement(root="/", namespaces=False, at_last=tick), on_line)

    @contextmanager
    def _way_back(self, turn: bytes, request: RunRequest, on_line: OnLine) -> Iterator[WayBack]:
        """What brings `/` back, watched over by a keeper; after the context the container's own is as it was."""
        layers, scratch = self._driver.unpacked, os.path.dirname(self.path)
        own, others = self._driver.own_files, Bystanders(FOLDER, RECORD)
        dev, files, ipc = LentDev(FOLDER), LentFiles(FOLDER), LentIpc()
        stays = self._driver.staying()
        own.note(_left_out(stays))
        try:
            others.note(layers, tuple(self._other_stages()))
            dev.lend()
            files.lend()
            ipc.lend()
        except OSError as error:
            raise UnfitError(f"cannot note what a command may change: {error.strerror}") from error
        with closing(Footholds((HOME, FOLDER, *layers, scratch))) as footholds:
            takeover = Takeover(guard.permit(), FOLDER)
            way = WayBack(
                takeover=takeover,
                dev=dev,
                files=files,
                ipc=ipc,
                own=own,
                others=others,
                footholds=footholds,
                stays=stays,
            )
            held = way.descriptors | descriptors()
            with watched(held, lambda journal: way.undo_alone(turn, journal)) as takeover.tell:
                try:
                    yield way
                finally:
                    self._driver.suspect_trees()
                    if takeover.unfinished() is None:  # else it could not be ended, and says why
                        way.repair()
                        self._see_to(way, request, on_line)

    def _see_to(self, way: WayBack, request: RunRequest, on_line: OnLine) -> None:
        """Tell what the command did to others than its image; raise StepError when the build cannot go on."""
        if way.changed:
            on_line(f"the command changed {way.changed[0]} of this container: it is as it was again")
        if way.others.discard_changed():
            on_line("the command changed unpacked layers of other images: they are unpacked again")
        if harm := self._harm(way):
            raise StepError(
                f"the command {harm}: in place it reaches more than its image",
                hint="keep /kaniko out of what it removes or changes, or use --rootfs=chroot",
                location=request.location,
            )

    def _harm(self, way: WayBack) -> str:
        """What was done that the build cannot go on with, '' when nothing was."""
        if lost := next((path for path in way.lost if not FOLDER.startswith(path)), ""):
            return f"removed {lost}, which the build works in"
        if way.takeover.moved:
            return f"renamed {way.takeover.moved[0]}, where this container has a mount"
        return "changed files of another stage" if way.others.changed_stage() else ""

    def _other_stages(self) -> Iterator[str]:
        """What other stages of this build have, and contexts: directories that commands must not change."""
        yield from sorted(self._driver.open_trees - {self.path})
        with os.scandir(self._driver.store.session) as entries:
            yield from (entry.path for entry in entries if entry.name.startswith("context-"))

    @contextmanager
    def _in_place(self, way: WayBack) -> Iterator[frozenset[str]]:
        """The tree in place of `/`; what of it cannot be seen."""
        hidden = way.takeover.begin(self.path, way.stays)
        try:
            yield frozenset(hidden)
        finally:
            self._tree.renamed(way.go())

    def changes(self) -> ScanDiff:
        """See `RootFs.changes`."""
        return self._tree.changes()

    def commit(self, layer: Layer | None) -> None:
        """See `RootFs.commit`."""
        self._tree.commit(layer)

    def set_aside(self, _begin: Callable[[SetAside], T], /) -> None:
        """See `RootFs.set_aside`: the next command may change what was not read yet."""

    def fork(self) -> InPlaceRoot:
        """See `RootFs.fork`."""
        return InPlaceRoot(self._driver, self._tree.fork())

    def close(self) -> None:
        """See `RootFs.close`."""
        self._driver.open_trees.discard(self.path)
        self._driver.own_files.stop_copying()
        self._tree.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _folders_of_layers(*stores: Store) -> tuple[str, ...]:
    return tuple({os.path.join(os.path.realpath(store.home), "unpacked"): None for store in stores})


def staying(home: str) -> set[str]:
    """The paths of this container that no image may take: what we run on, what others stand on, mount points."""
    paths = {*_STAYS, os.path.realpath(home)}
    for process_id in ("self", "1"):
        with suppress(OSError):
            paths.add(os.readlink(f"/proc/{process_id}/cwd"))
    paths.update(mount.point for mount in mounts())
    return paths - {"/"}


def _left_out(staying: Collection[str]) -> frozenset[str]:
    """The paths of this container whose files change by themselves, or are not the container's."""
    return frozenset(staying).union(_CHANGES).difference(_STAYS)


def _is_memory(path: str) -> bool:
    mount = mount_of(path)
    return mount is not None and mount.kind == "tmpfs"


def _is_a_containers_own(path: str) -> bool:
    return path in _A_CONTAINERS_OWN or path.startswith(("/dev/", "/proc/", "/sys/"))
