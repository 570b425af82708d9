"""The mounts a RUN asks for where nothing may be mounted: copies in their places for the time of the run.

What was in a place lies aside meanwhile. The root is a working folder of this process, so that a process that is
killed leaves nothing: the next session removes root and copies, and the kept source of a cache was never moved.
A socket gets a further name. A secret, whose bytes would be on a disk, is refused, unless the command sees a
directory in memory: then a link leads into it.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from executor.errors import NotSupportedError, StepError, UnfitError
from executor.removal import remove, remove_tree
from executor.rootfs.base import BindMount, CommandMount, RunRequest, SecretMount, TmpfsMount
from executor.rootfs.command.commandmounts import covering, wants_directory
from executor.rootfs.command.stubs import Stubs, displaced
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.rootfs.files.safepath import inside, resolve

_PASSABLE = 0o711


def refuse_unmountable(request: RunRequest, driver: str, memory: str = "") -> None:
    """Raise NotSupportedError for what this way of running a command cannot do; `memory` as for plain_mounts."""
    refusals = [_refusal(mount) for mount in request.mounts if not (memory and isinstance(mount, SecretMount))]
    if not request.network:
        refusals.append(("RUN --network=none", ""))
    for feature, hint in filter(None, refusals):
        raise NotSupportedError(
            f"{feature} is not supported by the {driver} driver where nothing may be mounted",
            hint=f"{hint}give the container CAP_SYS_ADMIN or allow unprivileged user namespaces",
            location=request.location,
        )


def _refusal(mount: CommandMount) -> tuple[str, str] | None:
    """The feature that cannot be had, and a way out that needs no privilege."""
    match mount:
        case SecretMount():
            return f"a secret as a file ({mount.target})", "take the secret as a variable (env=NAME), or "
        case TmpfsMount(size=size) if size:
            return f"a tmpfs with a size ({mount.target})", "leave out the size, or "
        case _:
            return None


@contextmanager
def plain_mounts(root: str, scratch: str, mounts: Sequence[CommandMount], memory: str = "") -> Iterator[None]:
    """Put `mounts` into `root` within the context. `scratch` is a directory of the same file system.

    `memory` is a directory in memory as the command sees it, for `write_secrets`; '' when there is none.
    Raises StepError when a place is inside of something that is not a directory, UnfitError when the disk refuses.
    """
    with ExitStack() as stack:
        try:
            for number, mount in enumerate(mounts):
                stack.enter_context(_placed(root, scratch, mount, f"{memory}/{number}"))
        except OSError as error:
            raise UnfitError(f"cannot prepare the root for a command: {error.strerror}") from error
        yield


@contextmanager
def _placed(root: str, scratch: str, mount: CommandMount, secret: str) -> Iterator[None]:
    stubs = Stubs(root)
    aside = tempfile.mkdtemp(prefix="aside-", dir=scratch)
    try:
        host = resolve(root, mount.target)
        if stubs.directory(os.path.dirname(inside(root, host))) is None:
            raise StepError(f"cannot mount on {mount.target}: its parent is not a directory")
        _refuse_other_kind(host, mount)
        covered = covering(host, mount)
        with displaced(host, os.path.join(aside, "own"), lambda: _fill(host, covered, secret)):
            yield
            if isinstance(mount, BindMount) and mount.keep and not mount.read_only:
                _keep(host, mount.source, os.path.join(aside, "before"))
    finally:
        stubs.remove()
        remove_tree(aside)


def _keep(host: str, source: str, aside: str) -> None:
    """Let `source` be what a command left at `host`."""
    try:
        os.rename(source, aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copied = f"{source}.copied"
        remove_tree(copied)
        copy_tree(host, copied, CopyRules())
        remove(source)
        os.rename(copied, source)
    else:
        os.rename(host, source)


def _refuse_other_kind(host: str, mount: CommandMount) -> None:
    if os.path.lexists(host) and os.path.isdir(host) != wants_directory(mount):
        kind = "directory" if wants_directory(mount) else "file"
        raise StepError(f"cannot mount a {kind} on {mount.target}: something else is there")


def _fill(host: str, mount: CommandMount, secret: str) -> None:
    match mount:
        case BindMount() if _is_socket(mount.source):
            _link(mount.source, host)
        case BindMount():
            copy_tree(mount.source, host, CopyRules())
        case TmpfsMount():
            os.mkdir(host)
            os.chmod(host, mount.mode)
        case SecretMount():
            os.symlink(secret, host)


def write_secrets(folder: str, mounts: Sequence[CommandMount]) -> None:
    """Make the directory `folder`, which is in memory, and in it the files that the links of `mounts` lead to."""
    secrets = {number: mount for number, mount in enumerate(mounts) if isinstance(mount, SecretMount)}
    if not secrets:
        return
    os.mkdir(folder)
    os.chmod(folder, _PASSABLE)
    for number, mount in secrets.items():
        path = f"{folder}/{number}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(mount.content)
        os.chown(path, mount.uid, mount.gid)
        os.chmod(path, mount.mode & 0o777)


def _link(source: str, host: str) -> None:
    """A further name; on another file system a link, which serves who may read the folder of the source."""
    try:
        os.link(source, host)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        os.symlink(source, host)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
