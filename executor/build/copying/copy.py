"""COPY into a root filesystem, with BuildKit's semantics.

A file goes to the destination, or into it when that is a directory or ends in a slash; of a directory, what is in
it goes there. Directories that are missing are made. `place` is shared with ADD.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from executor.build.copying.chmod import octal_mode, parse_chmod
from executor.build.copying.copysource import Choose, Found, SourceTree, is_remote
from executor.context.base import ContextTree
from executor.context.http import without_credentials
from executor.dataclass import dataclass, field, replace
from executor.dockerfile.instructions import Heredoc
from executor.dockerfile.wildcard import has_wildcards
from executor.errors import Error, Location, StepError, step_fault
from executor.removal import remove_tree
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.rootfs.files.safepath import inside, make_directories, resolve
from executor.rootfs.kernel.namespaces import Privilege, current_privilege

_DOCUMENT_MODE = 0o644
_PARENT_MODE = 0o755
_PIVOT = "/./"
_ROOT = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """A COPY, or what ADD shares with it, with every variable expanded.

    `cwd` is the stage's working directory. `owner` is what --chown means as (uid, gid), None when it is not
    written; `mode` the text of --chmod. `documents` are heredocs, which become files of that name. Without
    `attributes` no extended ones are copied, as of a context, whose cache keys and archives know of none.
    """

    sources: tuple[str, ...]
    destination: str
    cwd: str = "/"
    owner: tuple[int, int] | None = None
    mode: str = ""
    excludes: tuple[str, ...] = ()
    parents: bool = False
    link: bool = False
    documents: tuple[Heredoc, ...] = ()
    attributes: bool = True
    location: Location | None = field(default=None)


def copy_from_context(request: CopyRequest, context: ContextTree, root: str, scratch: Callable[[], str]) -> None:
    """Copy from the build context into the root filesystem at the directory `root`; files become 0:0's.

    `scratch` gives an empty directory on demand. Raises StepError when a source is not there or the destination
    cannot take it, UnfitError when the disk is full.
    """
    owned = replace(request, owner=request.owner or _ROOT, attributes=False)
    _copy(owned, SourceTree.of_context(context), root, scratch)


def copy_from_root(request: CopyRequest, source_root: str, root: str, scratch: Callable[[], str]) -> None:
    """Copy from the root filesystem at the directory `source_root`; owners stay unless --chown is written."""
    _copy(request, SourceTree(source_root), root, scratch)


def _copy(request: CopyRequest, tree: SourceTree, root: str, scratch: Callable[[], str]) -> None:
    with destination_of(request, root, scratch) as destination:
        for source in request.sources:
            if is_remote(source):
                raise StepError(
                    f"COPY cannot have the URL {without_credentials(source)} as a source", hint="use ADD"
                )
            copy_source(request, tree, source, destination)
        place_documents(request, destination, scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an instruction writes: `path` in the directory `root`; `slash`, that it has to be a directory.

    `owner` and `mode` are those of directories made on the way, `rules` those of what is copied.
    """

    root: str
    path: str
    slash: bool
    owner: tuple[int, int]
    mode: int
    rules: CopyRules

    def make(self, path: str) -> None:
        """Make a directory of the root, with its parents, where missing."""
        uid, gid = self.owner
        make_directories(self.root, path, self.mode, uid=uid, gid=gid)


@contextmanager
def destination_of(request: CopyRequest, root: str, scratch: Callable[[], str]) -> Iterator[Destination]:
    """The destination of `request`. Faults raised inside the context come out with the instruction's place.

    With --link it is in an empty root, which is laid over `root` at the end as a layer would be: directories join,
    everything else is replaced, links in the destination's path among it.
    """
    # BuildKit gives up on linking when --chmod is there too.
    overlay = scratch() if request.link and not request.mode else ""
    try:
        with _explained(request.location, overlay, root):
            yield _destination(request, overlay or root)
            if overlay:
                copy_tree(overlay, root, CopyRules(owner=_possible(None), replace=True))
    finally:
        if overlay:
            remove_tree(overlay)


def _destination(request: CopyRequest, root: str) -> Destination:
    text = request.destination or "."
    octal = octal_mode(request.mode)
    return Destination(
        root=root,
        path=os.path.normpath(os.path.join("/", request.cwd, text)),
        slash=text.endswith(("/", "/.")) or text == ".",
        owner=_possible(request.owner or _ROOT) or _ROOT,
        mode=_PARENT_MODE if octal is None else octal & 0o777,
        rules=CopyRules(
            owner=_possible(request.owner), mode=parse_chmod(request.mode), attributes=request.attributes
        ),
    )


def copy_source(request: CopyRequest, tree: SourceTree, source: str, destination: Destination) -> None:
    """Copy what one source names. A pattern that matches nothing is no error, as for BuildKit."""
    for found, choose in select(tree, source, excludes=request.excludes, parents=request.parents):
        place(found, destination, replace(destination.rules, choose=choose))


def select(
    tree: SourceTree, source: str, *, excludes: Sequence[str], parents: bool
) -> Iterator[tuple[Found, Choose | None]]:
    """Each file or directory that a source names, and which paths below it are copied."""
    includes: tuple[str, ...] = ()
    pattern = ""
    if parents:
        source, pattern = _split_parents(source)
        includes = (pattern,)
    for found in tree.find(source):
        if pattern and not has_wildcards(f"{source}/{pattern}"):
            tree.require(found, pattern, excludes)
        yield found, tree.choose(found, includes, excludes)


def place(found: Found, destination: Destination, rules: CopyRules, *, contents: bool = True) -> None:
    """Copy one file or directory to the destination; `contents`: of a directory, what is in it.

    Raises StepError or OSError when the destination cannot take it.
    """
    destination.make(destination.path if destination.slash else os.path.dirname(destination.path))
    target = resolve(destination.root, destination.path)
    if found.is_directory:
        if contents and not os.path.lexists(target):
            destination.make(inside(destination.root, target))
    elif os.path.isdir(target):
        target = os.path.join(target, found.name)
    destination.make(inside(destination.root, os.path.dirname(target)) if target != destination.root else "/")
    copy_tree(found.host, target, rules)


def place_documents(request: CopyRequest, destination: Destination, scratch: Callable[[], str]) -> None:
    """Write the heredocs among the sources as files of mode 0644."""
    if not request.documents:
        return
    rules = replace(destination.rules, owner=_possible(request.owner or _ROOT))
    folder = scratch()
    try:
        for document in request.documents:
            path = os.path.join(folder, "document")
            with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(document.content)
                os.fchmod(file.fileno(), _DOCUMENT_MODE)
            place(Found(f"/{document.name}", path), destination, rules)
    finally:
        remove_tree(folder)


def _split_parents(source: str) -> tuple[str, str]:
    """The directory that a source of --parents starts from, and the pattern below it that keeps its parents."""
    start, pivot, pattern = source.partition(_PIVOT)
    if not pivot:
        start, pattern = "/", source
    return start or "/", os.path.normpath("/" + pattern).lstrip("/")


def gives_nothing_away() -> bool:
    """True for a process that can make files of no owner but itself."""
    return current_privilege() in (Privilege.NONE, Privilege.SINGLE_ID)


def _possible(owner: tuple[int, int] | None) -> tuple[int, int] | None:
    """`owner` where this process may give files away; else everything stays its own."""
    return (os.geteuid(), os.getegid()) if gives_nothing_away() else owner


@contextmanager
def _explained(location: Location | None, *roots: str) -> Iterator[None]:
    """Turn faults into ones with the instruction's place and with paths as the Dockerfile's author knows them."""
    try:
        yield
    except Error as error:
        error.location = error.location or location
        raise
    except OSError as error:
        path = os.fsdecode(error.filename2 or error.filename or "")
        for root in roots:
            path = path.removeprefix(root) if root else path
        reason = error.strerror or str(error)
        message = f"cannot copy {path}: {reason}" if path else f"cannot copy: {reason}"
        raise step_fault(error, message, location=location) from error
