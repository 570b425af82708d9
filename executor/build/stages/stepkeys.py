"""The key of a RUN, COPY, ADD or WORKDIR whose variables are expanded: which of its inputs matter, and how.

What these instructions read from the context is hashed here; what they read from a stage or an image is known by
that one's key, so that nothing has to be unpacked to look it up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from executor.build.copying.chmod import parse_chmod
from executor.build.copying.copy import select
from executor.build.copying.copysource import SourceTree, is_remote
from executor.build.plan.buildplan import source_name
from executor.build.state.command import run_command
from executor.build.state.stagestate import StageState
from executor.cache.content import content_digest
from executor.cache.key import CacheKey, Command, copy_key, run_key, workdir_key
from executor.context.base import ContextTree
from executor.context.giturl import is_git_url, parse_git_url
from executor.context.http import content_of, without_credentials
from executor.dataclass import dataclass
from executor.dockerfile.instructions import Add, Copy, Heredoc, Mount, Run, Workdir
from executor.errors import ContextError
from executor.events import Sink
from executor.removal import remove_tree

FileStep = Run | Copy | Add | Workdir
"""The instructions that change files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Where a step's inputs come from.

    `tree` gives the context that a COPY, an ADD or a mount takes its files from, None when that is a stage or an
    image; `source` then gives its key, and raises ContextError when it has none. `scratch` makes an empty
    directory, for downloads. `host_name` is that of the machine which commands see, '' for the usual one.
    """

    tree: Callable[[Copy | Add | Mount], ContextTree | None]
    source: Callable[[Copy | Mount], CacheKey]
    scratch: Callable[[], str]
    sink: Sink
    host_name: str = ""


def step_key(parent: CacheKey, step: FileStep, state: StageState, inputs: Inputs) -> CacheKey:
    """The key of `step`, which `state` is the state before (for WORKDIR: after).

    Raises Error or OSError when something that it reads is not there: carrying it out will say so in its turn.
    """
    match step:
        case Run():
            return _run_key(parent, step, state, inputs)
        case Workdir():
            return workdir_key(parent, path=state.cwd, user=state.config.user)
        case Copy():
            return _copy_key(parent, step, state, inputs)
        case Add():
            return _add_key(parent, step, state, inputs)


def _run_key(parent: CacheKey, step: Run, state: StageState, inputs: Inputs) -> CacheKey:
    argv, scripts = run_command(step, state)
    command = Command(
        argv=argv,
        scripts=scripts,
        environment=state.environment,
        cwd=state.cwd,
        user=state.config.user,
        flags={
            "network": step.network,
            "security": step.security,
            "devices": [device.name for device in step.devices],
            "mounts": [_mount(mount, inputs) for mount in step.mounts],
            **({"host_name": inputs.host_name} if inputs.host_name else {}),
        },
    )
    return run_key(parent, command)


def _mount(mount: Mount, inputs: Inputs) -> dict[str, Any]:
    """A mount by its options and by what it shows of a stage, an image or the context.

    Of secrets and caches only the options count, not what is in them.
    """
    facts: dict[str, Any] = {"type": mount.type, "options": [list(option) for option in mount.options]}
    shows_context = mount.type == "bind" and not mount.get("from")
    context = inputs.tree(mount) if shows_context or source_name(mount) else None
    if context:
        tree = SourceTree.of_context(context)
        found = tree.at(mount.get("source", "src") or "/")
        facts["content"] = content_digest(found.host, choose=tree.choose(found, (), ()))
    elif source_name(mount):
        facts["from"] = inputs.source(mount).hex
    return facts


def _copy_key(parent: CacheKey, step: Copy, state: StageState, inputs: Inputs) -> CacheKey:
    tree = inputs.tree(step)
    if tree is None:
        found = [{"from": inputs.source(step).hex, "sources": list(step.sources)}]
    else:
        found = [facts for source in step.sources for facts in _context_inputs(step, source, tree)]
    flags = {**_shared_flags(step), "parents": step.parents}
    return copy_key(
        parent,
        "copy",
        inputs=[*found, *map(_document, step.documents)],
        flags=flags,
        destination=step.destination,
        cwd=state.cwd,
    )


def _add_key(parent: CacheKey, step: Add, state: StageState, inputs: Inputs) -> CacheKey:
    found: list[dict[str, Any]] = []
    tree = inputs.tree(step)
    for source in step.sources:
        if is_remote(source):
            found.append(_remote(source, step, inputs))
        elif tree:
            found += _context_inputs(step, source, tree)
    flags = {
        **_shared_flags(step),
        "checksum": step.checksum,
        "keep_git_dir": step.keep_git_dir,
        "unpack": "" if step.unpack is None else str(step.unpack),
    }
    return copy_key(
        parent,
        "add",
        inputs=[*found, *map(_document, step.documents)],
        flags=flags,
        destination=step.destination,
        cwd=state.cwd,
    )


def _shared_flags(step: Copy | Add) -> dict[str, Any]:
    return {"chown": step.chown, "chmod": step.chmod, "link": step.link, "excludes": list(step.excludes)}


def _context_inputs(step: Copy | Add, source: str, context: ContextTree) -> Iterator[dict[str, Any]]:
    """What `source` names in the context: of a file the name too, which it keeps in a destination directory."""
    tree = SourceTree.of_context(context)
    mode = parse_chmod(step.chmod)
    parents = isinstance(step, Copy) and step.parents
    for found, choose in select(tree, source, excludes=step.excludes, parents=parents):
        content = content_digest(found.host, choose=choose, mode=mode)
        if found.is_directory:
            yield {"directory": content}
        else:
            yield {"file": content, "name": found.name}


def copied_contents(step: Copy, root: str) -> list[dict[str, Any]]:
    """What a COPY --from copies of the root `root`, known by its content: the `inputs` of its other key.

    Raises StepError or OSError when a source is not there.
    """
    tree = SourceTree(root)
    mode, owners = parse_chmod(step.chmod), not step.chown
    found: list[dict[str, Any]] = []
    for source in step.sources:
        for each, choose in select(tree, source, excludes=step.excludes, parents=step.parents):
            content = content_digest(each.host, choose=choose, mode=mode, owners=owners)
            found.append({"directory": content} if each.is_directory else {"file": content, "name": each.name})
    return [*found, *map(_document, step.documents)]


def _remote(source: str, step: Add, inputs: Inputs) -> dict[str, Any]:
    """A URL or repository, by what it holds now; with --checksum that is known without asking."""
    facts = {"source": without_credentials(source), "url": hashlib.sha256(source.encode()).hexdigest()}
    if step.checksum:
        return facts
    folder = inputs.scratch()
    try:
        if is_git_url(source):
            from executor.context.git import commit_of

            return {**facts, "commit": commit_of(parse_git_url(source), folder)}
        return {**facts, "content": content_of(source, folder, inputs.sink)}
    finally:
        remove_tree(folder)


def _document(document: Heredoc) -> dict[str, Any]:
    content = document.content.encode("utf-8", "surrogateescape")
    return {"name": document.name, "document": hashlib.sha256(content).hexdigest()}


def no_key(what: str) -> ContextError:
    """The error of `Inputs.source` for something that has no key."""
    return ContextError(f"{what} has no cache key")
