"""What a driver is: the Protocol between the engine and the ways to hold a root filesystem.

    Driver.open_root(layers)  ->  RootFs at `path`, holding the flattened layers
      RootFs.prepare_run()        a context in which a command may run in the root (/proc, /sys, /dev, resolv.conf)
      RootFs.changes()            what differs from the last commit (or from the opening)
      RootFs.commit(layer)        the changes were written as `layer`: they are the new baseline
    Driver.probe()            ->  whether it works here, found out by doing

integration/drivers/ holds the contract test that runs on every driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol, Self, TypeAlias, TypeVar

from executor.dataclass import dataclass, field
from executor.errors import Location
from executor.image.layer import Layer
from executor.snapshot.changes import Change, Changes, Siblings

T = TypeVar("T")

HOST_NAME = "buildkitsandbox"
"""What BuildKit calls the machine that commands see."""

OpenLayer = Callable[[Layer], BinaryIO]
"""Opens the uncompressed tar stream of a layer, verified; the caller closes it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a driver works here, and whether commands can run; in one line why not, or what they lack."""

    usable: bool
    reason: str = ""
    commands: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Numeric ids a process runs with."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount:
    """A file, directory or socket of this machine at the path `target` of the root.

    `keep`: what the command writes is to be found in `source` afterwards, on every driver.
    """

    source: str
    target: str
    read_only: bool = True
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpfsMount:
    """Memory at the path `target` of the root. `size` is in bytes, 0 for the kernel's default.

    `mode` is that of its top directory.
    """

    target: str
    size: int = 0
    read_only: bool = False
    mode: int = 0o1777


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretMount:
    """A read-only file at the path `target` of the root whose bytes are never written to a disk."""

    target: str
    content: bytes = field(repr=False)
    uid: int = 0
    gid: int = 0
    mode: int = 0o400


CommandMount: TypeAlias = BindMount | TmpfsMount | SecretMount
"""Something a command finds in its root while it runs, and that is in no layer."""


class AbandonedError(Exception):
    """The build has no more use for what goes on here: something else failed, and will be told. Not for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A command to run inside a root. `cwd` is a path inside it. Its standard input is empty.

    `environment` is the whole environment; PATH in it is used to find argv[0]. `scripts` maps absolute paths below
    /dev to content: executable files that are there only while the command runs (a RUN heredoc with `#!`).
    `mounts` are made in their order. Without `network` the command has a loopback interface and nothing else.
    `host_name` is what the machine is called inside, where the command has namespaces of its own.
    The command is killed once the descriptor `give_up` can be read, and then running it raises AbandonedError.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str = "/"
    identity: Identity = Identity()
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    mounts: tuple[CommandMount, ...] = ()
    network: bool = True
    host_name: str = HOST_NAME
    give_up: int | None = None
    location: Location | None = field(default=None)


OnLine = Callable[[str], None]
"""Takes each line that the command writes, to stdout or stderr, in its order; undecodable bytes are replaced."""


class SetAside(Protocol):
    """Changes that were committed before they are read. Any one thread may read them, once."""

    @property
    def changes(self) -> Iterable[Change | Siblings]:
        """What differed from the commit before, in the order of `Changes`."""

    def became(self, layer: Layer) -> None:
        """The changes were written as `layer`: the store may keep what they are on disk."""


class RootFs(Protocol):
    """A root filesystem that instructions change. Not thread-safe. Close it (it is a context manager)."""

    @property
    def path(self) -> str:
        """The directory where the root can be read and written now; stays the same over the root's life."""

    def run(self, request: RunRequest, on_line: OnLine) -> int:
        """Run a command and return its exit status (128 + n when signal n ended it).

        Everything the command left running is killed before this returns. Raises UnfitError when the command
        cannot be started for a reason of this machine, StepError when it is not there or not executable or a
        mount has no place, NotSupportedError when the driver has no way to do what is asked for here.
        """

    def changes(self) -> Changes:
        """What differs from the last commit."""

    def commit(self, layer: Layer | None) -> None:
        """Take the present state as the new baseline. `layer` is what the changes became (None: nothing)."""

    def set_aside(self, begin: Callable[[SetAside], T], /) -> T | None:
        """Commit, where the driver can, in a way that lets the changes be read later, beside whatever follows.

        Returns what `begin` makes of the changes, which can be read from then on: it is called before the rest of
        the commit, which takes a while where they are many. None where the driver cannot: then nothing was done.
        For changes that `changes` shows to be there.
        """

    def fork(self) -> RootFs:
        """A new root with the same content, for a stage FROM this one. This root must be committed."""

    def close(self) -> None:
        """Unmount and remove everything the root holds, killing nothing that is not its own."""

    def __enter__(self) -> Self:
        """Return self."""

    def __exit__(self, *exc: object) -> None:
        """Close the root."""


class Driver(Protocol):
    """A way to hold root filesystems. Its working files are in the store folder it was made with."""

    @property
    def name(self) -> str:
        """`overlay`, `chroot`, …"""

    def probe(self) -> Probe:
        """Try the driver for real, in a forked child where mounts are involved, and leave nothing behind."""

    def expect_commands(self) -> None:
        """Begin, in the background, what has to be done before the first command. May be called again."""

    def open_root(self, layers: Sequence[Layer], open_layer: OpenLayer) -> RootFs:
        """A root with `layers` applied in order (lowest first; none: an empty root, mode 0755, owner 0:0).

        Layers not yet unpacked in the store are unpacked, several at once where the driver can.
        Raises ImageError for a malformed layer, UnfitError when this machine cannot hold the root.
        """

    def opens_at_once(self, layers: Sequence[Layer]) -> bool:
        """Whether a root with `layers` would be there without a file being unpacked or copied for it."""

    def prefetch(self, layers: Sequence[Layer], open_layer: OpenLayer) -> AbstractContextManager[None]:
        """Begin to unpack `layers` in the background where the driver can; leaving the context waits for it."""
