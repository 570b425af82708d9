"""Reading what the user wrote: the Dockerfile, its .dockerignore, and the context they speak of."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from executor.build.plan.buildargs import builder_args
from executor.context.base import ContextTree
from executor.context.http import is_http_url, without_credentials
from executor.dataclass import dataclass
from executor.dockerfile.ignore import IgnoreMatcher, parse_ignore
from executor.dockerfile.instructions import Arg, Dockerfile
from executor.dockerfile.parser import parse
from executor.dockerfile.stages import predefined_args
from executor.dockerfile.suggest import did_you_mean
from executor.errors import ContextError
from executor.spec import BuildSpec

Download = Callable[[str], str]
"""Fetches a URL into a file and gives its path."""

STANDARD_INPUT = "-"
"""The path that means standard input."""

_IGNORE_FILE = ".dockerignore"
_DEFAULT_NAME = "Dockerfile"
_SHOWN = 5
_PATTERN_CHARACTER = re.compile(r"[*?\[\]\\!]")


@dataclass(frozen=True, slots=True)
class Frontend:
    """A parsed Dockerfile and the context its COPY and ADD read.

    `excludes` are the absolute paths that are part of no context, wherever they lie.
    """

    dockerfile: Dockerfile
    context: ContextTree
    excludes: tuple[str, ...] = ()

    def known_args(self) -> set[str]:
        """Every build argument that the file declares or that is predefined."""
        declared = [
            *self.dockerfile.global_args,
            *(step for stage in self.dockerfile.stages for step in stage.instructions if isinstance(step, Arg)),
        ]
        return {name for arg in declared for name in arg.names} | predefined_args() | builder_args()


def read_frontend(spec: BuildSpec, context: str, download: Download, *, own: Collection[str] = ()) -> Frontend:
    """Read the Dockerfile that `spec` holds or names for the context in the directory `context`.

    `own` are folders that are part of no context, as are those that the spec excludes. Raises ContextError when
    the Dockerfile is not there, InvalidFileError when it has faults.
    """
    found = read_dockerfile(spec, context, download)
    excludes = (*spec.context_excludes, *own)
    return Frontend(found.parsed, ContextTree(context, ignore_matcher(found.path, context, excludes)), excludes)


@dataclass(frozen=True, slots=True)
class ReadDockerfile:
    """A Dockerfile and where it lies, '' when it lies nowhere: then no ignore file belongs to it."""

    parsed: Dockerfile
    path: str


def read_dockerfile(spec: BuildSpec, context: str, download: Download) -> ReadDockerfile:
    """The Dockerfile that `spec` holds or names: text, `-`, a URL, a path. Raises what `read_frontend` raises."""
    if spec.dockerfile_text is not None:
        return ReadDockerfile(parse(spec.dockerfile_text.encode("utf-8", "surrogateescape"), _DEFAULT_NAME), "")
    if spec.dockerfile == STANDARD_INPUT:
        return ReadDockerfile(parse(_from_standard_input(), "stdin"), "")
    if is_http_url(spec.dockerfile):
        return ReadDockerfile(parse(_read(download(spec.dockerfile)), without_credentials(spec.dockerfile)), "")
    path = find_dockerfile(spec.dockerfile, context)
    return ReadDockerfile(parse(_read(path), _name(spec.dockerfile)), path)


def _name(path: str) -> str:
    """What messages call the file: shorter by the working directory, where it lies below that."""
    folder = os.path.join(os.getcwd(), "")
    return path.removeprefix(folder)


def find_dockerfile(name: str, context: str) -> str:
    """Where the Dockerfile is: relative to the working directory if it is there, else to the context.

    The default name is the context's first: one that happens to lie in the working directory is not meant. Where
    there is none, `dockerfile` serves too, as with BuildKit.
    """
    candidates = [os.path.abspath(name), os.path.join(context, name)]
    if name == _DEFAULT_NAME:
        candidates.reverse()
    if os.path.basename(name) == _DEFAULT_NAME:
        candidates += [os.path.join(os.path.dirname(path), _DEFAULT_NAME.lower()) for path in candidates]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    folder = next((candidate for candidate in candidates if os.path.isdir(candidate)), "")
    what = f"{name!r} is a folder, and no Dockerfile" if folder else f"there is no Dockerfile {name!r}"
    raise ContextError(f"{what} here or in the context {context}", hint=_others(folder or context, name))


def _others(folder: str, name: str) -> str:
    """A hint with what may be meant by a `name` that `folder` has not."""
    try:
        files = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return ""
    likely = [file for file in files if "dockerfile" in file.lower()][:_SHOWN]
    meant = did_you_mean(os.path.basename(name), files)
    return meant or (f"it has {', '.join(likely)}" if likely else "name it, or give the folder that has one")


def ignore_matcher(dockerfile: str, context: str, excludes: Collection[str]) -> IgnoreMatcher | None:
    """What the directory `context` leaves out: what its ignore file says, and the absolute paths `excludes`.

    `<Dockerfile>.dockerignore` beside the Dockerfile ('': there is none) counts before the context's own file.
    None when nothing is left out. Raises ContextError and InvalidFileError for a file that cannot be read.
    """
    excluded = tuple(_patterns_for(excludes, os.path.realpath(context)))
    beside = [f"{dockerfile}{_IGNORE_FILE}"] if dockerfile else []
    for path in (*beside, os.path.join(context, _IGNORE_FILE)):
        if os.path.isfile(path):
            # what is excluded comes last, so that no pattern of the file lets it in again
            return IgnoreMatcher((*parse_ignore(_read(path), path), *excluded), path)
    return IgnoreMatcher(excluded) if excluded else None


def _patterns_for(paths: Iterable[str], context: str) -> Iterator[str]:
    """Patterns that match just the given absolute paths, as far as they are below the directory `context`."""
    for path in paths:
        relative = os.path.relpath(os.path.realpath(path), context)
        if relative != "." and relative.split("/")[0] != "..":
            yield _PATTERN_CHARACTER.sub(r"\\\g<0>", relative)


def _from_standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise ContextError("the Dockerfile is to come on standard input, which is a terminal or closed")
    return sys.stdin.buffer.read()


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ContextError(f"cannot read {path}: {error.strerror}") from error
