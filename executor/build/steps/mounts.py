"""RUN --mount: from the flags to what a root filesystem can mount, with BuildKit's defaults and sources.

bind    the context (a copy without what is ignored), a stage or an image; with rw a copy that is thrown away
cache   a directory of the store, by id, and by where its first content comes from if it has any
tmpfs   memory          secret  bytes in memory, or a variable          ssh  a socket that leads to an agent
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from executor.build.plan.buildplan import source_name
from executor.build.stages.stage import Stage
from executor.build.supplies.sshagent import forwarded
from executor.dataclass import dataclass, field
from executor.dockerfile.instructions import Mount, Run
from executor.dockerfile.runflags import is_read_only, parse_bool, parse_size
from executor.errors import Error, StepError, step_fault
from executor.removal import remove_tree
from executor.rootfs.base import BindMount, CommandMount, SecretMount, TmpfsMount
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.rootfs.files.safepath import resolve
from executor.store.cachemounts import Sharing

_SHARINGS: Mapping[str, Sharing] = {"shared": "shared", "private": "private", "locked": "locked"}
_CACHE_MODE = 0o755
_SECRET_MODE = 0o400
_SOCKET_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Prepared:
    """The mounts of a command, outer ones first, and the variables that come with them."""

    mounts: tuple[CommandMount, ...]
    environment: Mapping[str, str]


@contextmanager
def prepared_mounts(instruction: Run, stage: Stage) -> Iterator[Prepared]:
    """What the mounts of a RUN come to; locks of caches, copies and sockets are held within the context.

    Raises StepError, with the place of the mount, for a source or a required secret that is not there, UnfitError
    when the disk is full.
    """
    with ExitStack() as stack:
        preparation = _Preparation(stage, stack)
        for mount in preparation.caches_first(instruction.mounts):
            try:
                preparation.add(mount)
            except Error as error:
                error.location = error.location or mount.location
                raise
            except OSError as error:
                message = f"cannot prepare a mount: {error.strerror}"
                raise step_fault(error, message, location=mount.location) from error
        yield preparation.result()


@dataclass(slots=True)
class _Preparation:
    stage: Stage
    stack: ExitStack
    mounts: list[CommandMount] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    caches: dict[str, str] = field(default_factory=dict)
    agents: int = 0

    def result(self) -> Prepared:
        return Prepared(tuple(sorted(self.mounts, key=lambda mount: mount.target)), self.environment)

    def caches_first(self, mounts: tuple[Mount, ...]) -> list[Mount]:
        """Caches in the order of their keys, so that two builds never wait for each other's locks."""
        caches = sorted((mount for mount in mounts if mount.type == "cache"), key=self._cache_key)
        return [*caches, *(mount for mount in mounts if mount.type != "cache")]

    def add(self, mount: Mount) -> None:
        match mount.type:
            case "bind":
                self._add_bind(mount)
            case "cache":
                self._add_cache(mount)
            case "tmpfs":
                size = parse_size(mount.get("size") or "0")
                self.mounts.append(
                    TmpfsMount(target=self._target(mount), size=size, read_only=is_read_only(mount))
                )
            case "secret":
                self._add_secret(mount)
            case "ssh":
                self._add_agent(mount)

    def _add_bind(self, mount: Mount) -> None:
        source = self._bind_source(mount)
        if not is_read_only(mount):
            source = self._copied(source)
        self.mounts.append(BindMount(source=source, target=self._target(mount), read_only=is_read_only(mount)))

    def _bind_source(self, mount: Mount) -> str:
        path = _source(mount)
        if mount.get("from") and not source_name(mount):  # scratch
            return _existing(self._scratch(), path, mount)
        tree = self.stage.build.tree_of(mount, self.stage.plan)
        if tree is None:
            return _existing(self.stage.build.source_root(mount, self.stage).path, path, mount)
        return self.stage.build.mount_supplies.contexts.shared(tree, path)

    def _add_cache(self, mount: Mount) -> None:
        key = self._cache_key(mount)
        if key not in self.caches:
            sharing = _SHARINGS[(mount.get("sharing") or "shared").lower()]
            caches = self.stage.build.mount_supplies.caches
            use = caches.use(key, sharing, lambda directory: self._fill_cache(mount, directory))
            self.caches[key] = self.stack.enter_context(use)
        source = _existing(self.caches[key], _source(mount), mount)
        target, read_only = self._target(mount), is_read_only(mount)
        self.mounts.append(BindMount(source=source, target=target, read_only=read_only, keep=True))

    def _cache_key(self, mount: Mount) -> str:
        """A cache is another one if its first content is: that of another source, or a directory of an owner."""
        cache_id = mount.get("id") or posixpath.normpath(_written_target(mount))
        space = self.stage.build.spec.build_args.get("BUILDKIT_CACHE_MOUNT_NS", "")
        parts = [f"{space}/{cache_id}" if space else cache_id]
        if source_name(mount):
            tree = self.stage.build.tree_of(mount, self.stage.plan)
            layers = () if tree else self.stage.build.source_layers(mount, self.stage)
            parts += [tree.path] if tree else [layer.diff_id for layer in layers]
        if _is_owned(mount):
            parts.append(f"{_owner(mount)} {_mode(mount, _CACHE_MODE):o}")
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def _fill_cache(self, mount: Mount, directory: str) -> None:
        if _is_owned(mount):  # BuildKit then mounts a new directory, whatever `from` has
            os.chown(directory, *_owner(mount))
            os.chmod(directory, _mode(mount, _CACHE_MODE))
        elif source_name(mount):
            tree = self.stage.build.tree_of(mount, self.stage.plan)
            contexts = self.stage.build.mount_supplies.contexts
            first = contexts.shared(tree, "/") if tree else self.stage.build.source_root(mount, self.stage).path
            copy_tree(first, directory, CopyRules())

    def _add_secret(self, mount: Mount) -> None:
        target, variable = _written_target(mount), mount.get("env")
        secret_id = secret_name(mount)
        value = self.stage.build.mount_supplies.secrets.get(secret_id)
        if value is None:
            if is_required(mount):
                hint = f"give it: --secret id={secret_id},src=FILE or --secret id={secret_id},env=NAME"
                raise StepError(f'secret "{secret_id}" is required and was not given', hint=hint)
            if variable is not None:
                self.environment[variable or secret_id] = ""
            return
        if variable is not None:
            if b"\0" in value:
                raise StepError(f'secret "{secret_id}" has a NUL byte: it cannot be a variable')
            self.environment[variable or secret_id] = os.fsdecode(value)
        if variable is None or target:
            place = self._placed(target or f"/run/secrets/{posixpath.basename(secret_id)}")
            uid, gid = _owner(mount)
            mode = _mode(mount, _SECRET_MODE)
            self.mounts.append(SecretMount(target=place, content=value, uid=uid, gid=gid, mode=mode))

    def _add_agent(self, mount: Mount) -> None:
        target = self._placed(_written_target(mount) or f"/run/buildkit/ssh_agent.{self.agents}")
        self.agents += 1
        if "SSH_AUTH_SOCK" not in self.stage.state.environment:
            self.environment.setdefault("SSH_AUTH_SOCK", target)
        agent_id = mount.get("id") or "default"
        agent = self.stage.build.mount_supplies.agents.get(agent_id)
        if agent is None:
            if is_required(mount):
                hint = f"give --ssh {agent_id}"
                raise StepError(f'ssh agent "{agent_id}" is required and was not given', hint=hint)
            return
        uid, gid = _owner(mount)
        mode = _mode(mount, _SOCKET_MODE)
        path = self.stack.enter_context(forwarded(agent, self._scratch(), uid=uid, gid=gid, mode=mode))
        self.mounts.append(BindMount(source=path, target=target, read_only=False))

    def _target(self, mount: Mount) -> str:
        return self._placed(_written_target(mount))

    def _placed(self, target: str) -> str:
        """A mount's place: absolute, or relative to the WORKDIR."""
        path = "/" + posixpath.normpath(posixpath.join("/", self.stage.state.cwd, target)).lstrip("/")
        if path == "/":
            raise StepError(f'invalid mount target "{target or path}": the root itself cannot be covered')
        return path

    def _copied(self, source: str) -> str:
        target = os.path.join(self._scratch(), "copy")
        copy_tree(source, target, CopyRules())
        return target

    def _scratch(self) -> str:
        folder = self.stage.build.scratch("mount")
        self.stack.callback(remove_tree, folder)
        return folder


def _written_target(mount: Mount) -> str:
    return mount.get("target", "dst", "destination") or ""


def _source(mount: Mount) -> str:
    """The path inside of what is mounted, absolute there."""
    return "/" + posixpath.normpath(posixpath.join("/", mount.get("source", "src") or "")).lstrip("/")


def _existing(root: str, path: str, mount: Mount) -> str:
    host = resolve(root, path)
    if not os.path.lexists(host):
        raise StepError(f'"{path}": not found', location=mount.location)
    return host


def _is_owned(mount: Mount) -> bool:
    """Whether a cache has an owner or a mode of its own, which those with a source path do not get."""
    return _source(mount) == "/" and any(mount.get(key) for key in ("uid", "gid", "mode"))


def _owner(mount: Mount) -> tuple[int, int]:
    return int(mount.get("uid") or 0), int(mount.get("gid") or 0)


def _mode(mount: Mount, default: int) -> int:
    text = mount.get("mode")
    return int(text, 8) & 0o7777 if text else default


def secret_name(mount: Mount) -> str:
    """The id of the secret that a mount is about: said, or the last part of a path."""
    return mount.get("id") or mount.get("source", "src") or posixpath.basename(_written_target(mount))


def is_required(mount: Mount) -> bool:
    """Whether a RUN fails when its secret or agent was not given."""
    text = mount.get("required")
    return text is not None and (not text or parse_bool(text))
