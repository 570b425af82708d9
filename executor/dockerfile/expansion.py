"""Which fields of an instruction BuildKit expands, and how; all others stay as written.

words      ENV and LABEL (keys and values), ADD and COPY (paths, --chown, --chmod, ADD's --checksum), WORKDIR,
           USER, VOLUME, STOPSIGNAL, RUN's --mount (every value), FROM (image, --platform)
split      EXPOSE: a variable may hold several ports
documents  ADD's and COPY's heredocs, if the name is not quoted
nothing    CMD, ENTRYPOINT, HEALTHCHECK, MAINTAINER, ONBUILD, SHELL, RUN's command (its shell does that)
ARG        entry by entry: each default sees those before it, so the engine calls `expand_word_at`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TypeAlias, TypeVar, assert_never

from executor.dataclass import dataclass, replace
from executor.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Label,
    Maintainer,
    Mount,
    Onbuild,
    Run,
    Shell,
    StageInstruction,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from executor.dockerfile.marking import fault_in
from executor.dockerfile.runflags import FlagValueError, expand_mount
from executor.dockerfile.words import WordError, expand, expand_document, expand_words
from executor.errors import InvalidFileError, Location, StepError

_Placed: TypeAlias = From | StageInstruction
_T = TypeVar("_T")


def expand_instruction(
    instruction: StageInstruction, variables: Mapping[str, str], *, escape: str = "\\"
) -> StageInstruction:
    """The instruction with every field expanded that BuildKit expands; `variables` are those before its line.

    `escape` is the file's. ARG comes back unchanged. Raises StepError, with the instruction's place, on a bad
    substitution, a failing `${x:?}`, or a mount whose expanded value is wrong.
    """
    words = _Expander(instruction, variables, escape)
    expanded: StageInstruction
    match instruction:
        case Env() | Label():
            expanded = replace(
                instruction, pairs=tuple((words.one(k), words.one(v)) for k, v in instruction.pairs)
            )
        case Run():
            expanded = replace(instruction, mounts=words.of_mounts(instruction))
        case Copy() | Add():
            expanded = _expand_copying(instruction, words)
        case Workdir():
            expanded = replace(instruction, path=words.one(instruction.path))
        case User():
            expanded = replace(instruction, user=words.one(instruction.user))
        case Volume():
            expanded = replace(instruction, paths=words.each(instruction.paths))
        case Stopsignal():
            expanded = replace(instruction, signal=words.one(instruction.signal))
        case Expose():
            expanded = replace(instruction, ports=words.split(instruction.ports))
        case Arg() | Cmd() | Entrypoint() | Healthcheck() | Maintainer() | Onbuild() | Shell():
            expanded = instruction
        case _:
            assert_never(instruction)
    return expanded


class Values:
    """What the words of an instruction become: with `variables`, or as far as it can be told without any (None).

    Where a variable decides, the answer is then None. All methods raise WordError.
    """

    def __init__(self, variables: Mapping[str, str] | None, escape: str) -> None:
        self._variables = variables
        self._escape = escape

    def one(self, word: str) -> str | None:
        """`word` expanded."""
        return self._told(lambda variables: expand(word, variables, escape=self._escape))

    def split(self, word: str) -> tuple[str, ...] | None:
        """The words that `word` becomes, for EXPOSE."""
        return self._told(lambda variables: expand_words(word, variables, escape=self._escape))

    def document(self, text: str) -> str | None:
        """The body of a heredoc."""
        return self._told(lambda variables: expand_document(text, variables))

    def _told(self, expanded: Callable[[Mapping[str, str]], _T]) -> _T | None:
        if self._variables is not None:
            return expanded(self._variables)
        anything = _Anything()
        try:
            value = expanded(anything)
        except WordError as error:
            if anything.is_asked and "invalid pattern" in error.message:  # a variable can be a part of it
                return None
            raise
        return None if anything.is_asked else value


class _Anything(Mapping[str, str]):
    """Has every variable, so that `${a?}` is content."""

    def __init__(self) -> None:
        self.is_asked = False

    def __getitem__(self, name: str) -> str:
        self.is_asked = True
        return "x"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def expand_from(base: From, variables: Mapping[str, str], *, escape: str = "\\") -> From:
    """FROM with image and platform expanded; `variables` are the global ones (`stages.global_variables`).

    Raises InvalidFileError on a bad substitution, or if nothing is left of the image or of a platform written.
    """
    words = _Expander(base, variables, escape)
    with fault_of_file(base, base.image):
        expanded = replace(base, image=words.one(base.image))
    with fault_of_file(base, base.platform):
        expanded = replace(expanded, platform=words.one(base.platform))
    for name, before, after in (
        ("image", base.image, expanded.image),
        ("--platform", base.platform, expanded.platform),
    ):
        if before and not after:
            hint = "give the ARG before the first FROM a default, or pass --build-arg"
            message = f"FROM: {name} {before!r} is empty when expanded"
            raise InvalidFileError([fault_in(base, before, message, hint)])
    return expanded


@contextmanager
def fault_of_file(instruction: _Placed, word: str) -> Iterator[None]:
    """Make a StepError an InvalidFileError at `word`: what stands before any step is a fault of the file."""
    try:
        yield
    except StepError as error:
        raise InvalidFileError([fault_in(instruction, word, error.message, error.hint)]) from error


def expand_word_at(word: str, variables: Mapping[str, str], instruction: _Placed, escape: str = "\\") -> str:
    """Expand one word of `instruction`, such as an ARG's default. Raises StepError with its place."""
    return _Expander(instruction, variables, escape).one(word)


@dataclass(frozen=True, slots=True)
class _Expander:
    """Expands on behalf of one instruction, whose place errors get."""

    instruction: _Placed
    variables: Mapping[str, str]
    escape: str

    def one(self, word: str) -> str:
        with _errors_at(self.instruction.location):
            return expand(word, self.variables, escape=self.escape)

    def each(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.one(word) for word in words)

    def split(self, words: tuple[str, ...]) -> tuple[str, ...]:
        with _errors_at(self.instruction.location):
            parts = [expand_words(word, self.variables, escape=self.escape) for word in words]
        return tuple(chain.from_iterable(parts))

    def document(self, document: Heredoc) -> Heredoc:
        if not document.expand:
            return document
        with _errors_at(self.instruction.location):
            return replace(document, content=expand_document(document.content, self.variables))

    def of_mounts(self, run: Run) -> tuple[Mount, ...]:
        with _errors_at(run.location):
            return tuple(expand_mount(mount, self.one) for mount in run.mounts)


@contextmanager
def _errors_at(location: Location) -> Iterator[None]:
    try:
        yield
    except WordError as error:
        raise StepError(error.message, hint=error.hint, location=location) from None
    except FlagValueError as error:
        raise StepError(str(error), hint=error.hint, location=location) from None


def _expand_copying(instruction: Copy | Add, words: _Expander) -> Copy | Add:
    expanded = replace(
        instruction,
        sources=words.each(instruction.sources),
        destination=words.one(instruction.destination),
        documents=tuple(words.document(document) for document in instruction.documents),
        chown=words.one(instruction.chown),
        chmod=words.one(instruction.chmod),
    )
    return replace(expanded, checksum=words.one(expanded.checksum)) if isinstance(expanded, Add) else expanded
