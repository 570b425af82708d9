"""WORKDIR, with the values of variables as far as the file alone tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from executor.dockerfile.expansion import expand_word_at
from executor.dockerfile.instructions import Arg, Dockerfile, Env, Stage, StageInstruction, Workdir
from executor.dockerfile.lint.bases import parents
from executor.dockerfile.lint.finding import BaseFacts, Finding
from executor.dockerfile.stages import global_variables
from executor.errors import Error


def working_directories(dockerfile: Dockerfile, bases: Mapping[int, BaseFacts]) -> Iterator[Finding]:
    """WorkdirRelativePath."""
    stages: list[_Stage] = []
    upon = parents(dockerfile)
    for stage in dockerfile.stages:
        parent = stages[upon[stage.index]] if stage.index in upon else None
        state = _Stage(dockerfile, parent, bases.get(stage.index))
        stages.append(state)
        yield from state.walk(stage)


class _Stage:
    """The variables of a stage whose values are known, and whether it has a WORKDIR of its own by now.

    `is_known`: what it builds upon has no others.
    """

    def __init__(self, dockerfile: Dockerfile, parent: _Stage | None, base: BaseFacts | None) -> None:
        self._escape = dockerfile.directives.escape
        self.values: dict[str, str] = dict(parent.values if parent else base.variables if base else {})
        self.is_known: bool = parent.is_known if parent else base is not None
        self.is_placed: bool = bool(parent and parent.is_placed)
        self._given: set[str] = set()
        try:
            self._inherited = global_variables(dockerfile, {}, {})
        except Error:
            self._inherited = {}  # the build says it

    def walk(self, stage: Stage) -> Iterator[Finding]:
        for instruction in stage.instructions:
            match instruction:
                case Arg():
                    for name, default in instruction.entries:
                        self._declare(name, default, instruction)
                case Env():
                    values = [(name, self._value(text, instruction)) for name, text in instruction.pairs]
                    for name, value in values:
                        self._define(name, value)
                case Workdir():
                    path = self._value(instruction.path, instruction)
                    if not self.is_placed and path is not None and not path.startswith("/"):
                        written = "" if path == instruction.path else f" ({instruction.path})"
                        message = f"WORKDIR {path}{written} is relative to whatever the base image has"
                        yield Finding("WorkdirRelativePath", instruction, message, f"write /{path}")
                    self.is_placed = True
                case _:
                    pass

    def _declare(self, name: str, default: str | None, instruction: Arg) -> None:
        """ARG. Without any default the name has whatever the build gives it, which nobody knows here."""
        value = self._inherited.get(name) if default is None else self._value(default, instruction)
        if value is None:
            self._given.add(name)
        self._define(name, value)

    def _define(self, name: str, value: str | None) -> None:
        self.values.pop(name, None)
        if value is not None:
            self.values[name] = value

    def _value(self, word: str, instruction: StageInstruction) -> str | None:
        """What `word` becomes, None when the file does not tell."""
        asked = _Asked(self.values)
        try:
            value = expand_word_at(word, asked, instruction, self._escape)
        except Error:
            return None  # the build says it
        return None if asked.missed and not (self.is_known and asked.missed.isdisjoint(self._given)) else value


class _Asked(Mapping[str, str]):
    """Remembers the names that it was asked for and does not have."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.missed: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name not in self._values:
            self.missed.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
