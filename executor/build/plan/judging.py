"""What is wrong with an instruction, told by its words alone: before anything of a build has run.

Every word is expanded as far as its variables are known, and what it became is judged by the reader that the step
itself will use. All faults of an instruction are told, each with its place in the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import TypeAlias

from executor.build.copying.chmod import parse_chmod
from executor.build.copying.copysource import is_remote
from executor.build.state.metadata import is_signal
from executor.build.state.ports import parse_ports
from executor.context.giturl import is_commit_part, is_git_url, parse_git_url
from executor.context.http import parse_checksum, without_credentials
from executor.dataclass import dataclass
from executor.dockerfile.expansion import Values
from executor.dockerfile.ignore import IgnoreMatcher
from executor.dockerfile.instructions import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    Heredoc,
    Label,
    Mount,
    Run,
    StageInstruction,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from executor.dockerfile.marking import fault_in
from executor.dockerfile.runflags import FlagValueError, expand_mount
from executor.dockerfile.words import WordError
from executor.errors import Diagnostic, Error, InvalidFileError, StepError

_Judge: TypeAlias = Callable[[str], object]
"""Raises Error or ValueError when a value is wrong."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong at `text`, a part of the instruction as written."""

    text: str
    message: str
    hint: str = ""


def faults_of(instruction: StageInstruction, values: Values, given: Collection[str] = ()) -> Iterator[Diagnostic]:
    """Every fault of the words of `instruction`; `given` are the build arguments, which no default counts for."""
    for fault in _Judging(values, given).of(instruction):
        yield fault_in(instruction, fault.text, fault.message, fault.hint)


@dataclass(frozen=True, slots=True)
class _Judging:
    values: Values
    given: Collection[str]

    def of(self, instruction: StageInstruction) -> Iterator[_Fault]:  # noqa: C901, PLR0912 - one arm each
        match instruction:
            case Arg():
                for name, default in instruction.entries:
                    if default is not None and name not in self.given:
                        yield from self.word(default)
            case Env() | Label():
                for pair in instruction.pairs:
                    yield from self.words(pair)
            case Workdir():
                yield from self.word(instruction.path)
            case User():
                yield from self.word(instruction.user)
            case Volume():
                yield from self.words(instruction.paths, _refuse_empty_volume)
            case Stopsignal():
                yield from self.word(instruction.signal, _refuse_no_signal)
            case Expose():
                for port in instruction.ports:
                    yield from self.ports(port)
            case Run():
                for mount in instruction.mounts:
                    yield from self.mount(mount)
            case Copy() | Add():
                yield from self.copying(instruction)
            case _:
                return  # the others have no words that are expanded

    def word(self, word: str, judge: _Judge = len) -> Iterator[_Fault]:
        """The fault of one word, if it has one."""
        try:
            value = self.values.one(word)
            if value is not None:
                judge(value)
        except Error as error:
            yield _Fault(word, error.message, error.hint)
        except ValueError as error:
            yield _Fault(word, str(error))

    def words(self, words: tuple[str, ...], judge: _Judge = len) -> Iterator[_Fault]:
        for word in words:
            yield from self.word(word, judge)

    def ports(self, word: str) -> Iterator[_Fault]:
        try:
            for port in self.values.split(word) or ():
                parse_ports(port)
        except WordError as error:
            yield _Fault(word, error.message, error.hint)
        except ValueError as error:
            yield _Fault(word, str(error), "write 8080, 53/udp or 8000-8010")

    def mount(self, mount: Mount) -> Iterator[_Fault]:
        before = [fault for _, value in mount.options for fault in self.word(value)]
        yield from before
        known = [(name, self.values.one(value)) for name, value in mount.options] if not before else []
        if not before and all(value is not None for _, value in known):
            try:
                expand_mount(mount, lambda word: self.values.one(word) or "")
            except FlagValueError as error:
                written = next((value for _, value in mount.options if "$" in value), "--mount")
                yield _Fault(written, str(error), error.hint)

    def copying(self, step: Copy | Add) -> Iterator[_Fault]:
        judge = _refuse_remote if isinstance(step, Copy) else _refuse_wrong_query
        yield from self.words(step.sources, judge)
        yield from self.word(step.destination)
        for document in step.documents:
            yield from self.document(document)
        yield from self.word(step.chown)
        yield from self.word(step.chmod, parse_chmod)
        for pattern in step.excludes:
            with _telling(pattern) as faults:
                IgnoreMatcher((pattern,), "--exclude")
            yield from faults
        if isinstance(step, Add) and step.checksum:
            yield from self.checksum(step)

    def checksum(self, step: Add) -> Iterator[_Fault]:
        written = "--checksum"
        if len(step.sources) != 1:
            yield _Fault(written, "--checksum cannot be given for several sources", "write an ADD for each")
            return
        with contextlib.suppress(WordError):  # told with the source
            source = self.values.one(step.sources[0])
            if source is None:
                yield from self.word(step.checksum)
            elif not is_remote(source):
                yield _Fault(written, "--checksum needs a source that is a URL or a git repository")
            else:
                yield from self.word(step.checksum, _refuse_no_commit if is_git_url(source) else parse_checksum)

    def document(self, document: Heredoc) -> Iterator[_Fault]:
        if not document.expand:
            return
        try:
            self.values.document(document.content)
        except WordError as error:
            yield _Fault(self._faulty_line(document), error.message, error.hint)

    def _faulty_line(self, document: Heredoc) -> str:
        """The first line of a document that has a fault by itself, its name if it takes several."""
        for line in document.content.splitlines():
            try:
                self.values.document(line)
            except WordError:
                return line
        return document.name


@contextlib.contextmanager
def _telling(text: str) -> Iterator[list[_Fault]]:
    """Collect the faults of a file that are raised inside."""
    faults: list[_Fault] = []
    try:
        yield faults
    except InvalidFileError as error:
        faults += (_Fault(text, fault.message, fault.hint) for fault in error.diagnostics)


def _refuse_empty_volume(path: str) -> None:
    if not path:
        raise StepError("VOLUME specified can not be an empty string")


def _refuse_no_signal(text: str) -> None:
    if not is_signal(text):
        raise StepError(f"Invalid signal: {text}", hint="write a name such as SIGTERM, or a number")


def _refuse_remote(source: str) -> None:
    if is_remote(source):
        raise StepError(f"COPY cannot have the URL {without_credentials(source)} as a source", hint="use ADD")


def _refuse_wrong_query(source: str) -> None:
    if is_git_url(source):
        parse_git_url(source)


def _refuse_no_commit(text: str) -> None:
    if not is_commit_part(text):
        raise StepError(f"--checksum={text} is no commit id, which has hexadecimal digits")
