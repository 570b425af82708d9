"""A Dockerfile's text to typed stages. All faults of a file are found in one reading and raised together."""

from __future__ import annotations

from executor.dockerfile.grammar import ROWS, AnyInstruction, read_instruction
from executor.dockerfile.instructions import Arg, Directives, Dockerfile, From, Stage, StageInstruction
from executor.dockerfile.lexer import LexedFile, LogicalLine, lex
from executor.dockerfile.source import SourceText, read_source
from executor.dockerfile.statement import Common, FaultError, Statement
from executor.dockerfile.tokens import split_command
from executor.errors import Diagnostic, InvalidFileError, Location

_MOST_FAULTS = 20
"""More tell nothing new: the file is no Dockerfile, or one in which a line went wrong that all others hang on."""


def parse(text: str | bytes, file: str = "Dockerfile") -> Dockerfile:
    """Parse a whole Dockerfile; `file` is its name in locations.

    Raises InvalidFileError with every fault: unknown instructions and flags, wrong arguments, heredocs without
    end, instructions before the first FROM, no FROM at all. Syntax: docker/dockerfile 1.20.
    """
    source = read_source(text, file)
    lexed = lex(source)
    reader = _Reader(source, lexed)
    found = [reader.read(line) for line in lexed.lines]
    assembly = _Assembly(reader)
    for statement, instruction in found:
        assembly.add(statement, instruction)
    assembly.check_end()
    reader.raise_faults()
    return Dockerfile(
        file=file,
        directives=lexed.directives,
        global_args=tuple(assembly.global_args),
        stages=assembly.stages(),
        warnings=lexed.warnings,
    )


def parse_trigger(expression: str, location: Location, escape: str = "\\") -> StageInstruction:
    """Parse one ONBUILD trigger from a base image's configuration.

    `location` is that of the FROM that brings it; the instruction and all faults get it. Raises
    InvalidFileError, also if the text is not exactly one instruction, or one that no trigger may be.
    """
    source = read_source(expression, location.file)
    lexed = lex(source, Directives(escape=escape))
    reader = _Reader(source, lexed, location)
    found = [reader.read(line)[1] for line in lexed.lines]
    reader.raise_faults()
    if len(found) == 1 and found[0] and not isinstance(found[0], From):
        return found[0]
    message = f"ONBUILD trigger of the base image is not a single instruction: {expression!r}"
    raise InvalidFileError([Diagnostic(location, message)])


class _Reader:
    """Reads logical lines and keeps the faults of a file."""

    def __init__(self, source: SourceText, lexed: LexedFile, location: Location | None = None) -> None:
        self._faults = list(lexed.faults)
        self._source = source
        self._escape = lexed.directives.escape
        self._location = location

    def read(self, line: LogicalLine) -> tuple[Statement, AnyInstruction | None]:
        command = split_command(line.text, self._escape)
        number, column = line.position(command.keyword.start)
        statement = Statement(
            command=command,
            documents=line.documents,
            text=line.text,
            escape=self._escape,
            common=Common(
                location=self._location or Location(self._source.file, number, column, line.end),
                source=self._source.text_between(line.start, line.end).strip(),
                comments=line.comments,
            ),
            place=lambda token: self._location or self._diagnostic(line, FaultError("", token)).location,
            report=lambda fault: self._faults.append(self._diagnostic(line, fault)),
        )
        return statement, read_instruction(statement)

    def fault(self, diagnostic: Diagnostic) -> None:
        self._faults.append(diagnostic)

    def has_faults(self) -> bool:
        return bool(self._faults)

    def raise_faults(self) -> None:
        found = _sorted(self._faults)
        if len(found) > _MOST_FAULTS:
            more = f"and {len(found) - _MOST_FAULTS} more faults: is this a Dockerfile?"
            found = (*found[:_MOST_FAULTS], Diagnostic(found[_MOST_FAULTS].location, more))
        if found:
            raise InvalidFileError(found)

    def place_of_end(self) -> Location:
        return Location(self._source.file, max(1, len(self._source.lines)))

    def _diagnostic(self, line: LogicalLine, fault: FaultError) -> Diagnostic:
        if self._location:
            message = f"in the base image's ONBUILD trigger {line.text!r}: {fault.message}"
            return Diagnostic(self._location, message, hint=fault.hint)
        length = max(1, fault.token.end - fault.token.start)
        number, column = line.position(fault.token.start)
        return self._source.diagnostic(number, column, length, fault.message, fault.hint)


class _Assembly:
    """Puts instructions into stages, in the file's order."""

    def __init__(self, reader: _Reader) -> None:
        self.global_args: list[Arg] = []
        self._reader = reader
        self._stages: list[tuple[From, list[StageInstruction]]] = []
        self._in_stage = False
        self._homeless = False
        self._empty = True

    def add(self, statement: Statement, instruction: AnyInstruction | None) -> None:
        self._empty = False
        if statement.keyword == "FROM":
            self._in_stage = True
        match instruction:
            case None:
                # A misspelt FROM: what follows it is not reported as homeless too.
                self._homeless |= statement.keyword not in ROWS and not self._in_stage
            case From():
                self._stages.append((instruction, []))
            case Arg() if not self._in_stage:
                self.global_args.append(instruction)
            case _ if not self._in_stage:
                self._refuse(statement)
            case _:
                # There is no stage when FROM itself had a fault.
                for _base, instructions in self._stages[-1:]:
                    instructions.append(instruction)

    def check_end(self) -> None:
        """A file without a single FROM is a fault, unless what stands in its place is already one."""
        if not self._in_stage and not self._homeless and not (self._empty and self._reader.has_faults()):
            message = "the file has no instructions" if self._empty else "the file has no FROM"
            hint = "begin with FROM and the image to build on (or FROM scratch)"
            self._reader.fault(Diagnostic(self._reader.place_of_end(), message, hint=hint))

    def stages(self) -> tuple[Stage, ...]:
        return tuple(
            Stage(index=index, base=base, instructions=tuple(instructions))
            for index, (base, instructions) in enumerate(self._stages)
        )

    def _refuse(self, statement: Statement) -> None:
        if not self._homeless:
            hint = "only ARG may stand before the first FROM"
            statement.report(
                FaultError(f"{statement.keyword} before the first FROM", statement.command.keyword, hint)
            )
        self._homeless = True


def _sorted(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(diagnostics, key=lambda found: (found.location.line, found.location.column)))
