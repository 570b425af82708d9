"""Variables of stages: those that are not there, and those that should not be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from executor.dataclass import replace
from executor.dockerfile.instructions import Arg, Dockerfile, Env, Expose, Stage, StageInstruction
from executor.dockerfile.lint.bases import PLATFORM_NAMES, parents
from executor.dockerfile.lint.finding import BaseFacts, Finding, keyword
from executor.dockerfile.lint.lookups import Lookups
from executor.dockerfile.stages import predefined_args
from executor.dockerfile.suggest import nearest

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|\Z)", re.IGNORECASE
)
_HARMLESS = re.compile(r"(?:_|^)(?:public|file|version)(?:_|\Z)", re.IGNORECASE)
_ALWAYS = predefined_args() | {"PATH"}


def secrets(dockerfile: Dockerfile) -> Iterator[Finding]:
    """SecretsUsedInArgOrEnv. Names are judged, as BuildKit judges them."""
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            for name in _defined(instruction):
                if _SECRET.search(name) and not _HARMLESS.search(name):
                    message = f"{keyword(instruction)} {name} puts a secret into the image"
                    hint = f"use RUN --mount=type=secret,id={name.lower()},env={name}"
                    yield Finding("SecretsUsedInArgOrEnv", instruction, message, hint)


def undefined(dockerfile: Dockerfile, bases: Mapping[int, BaseFacts]) -> Iterator[Finding]:
    """UndefinedVar."""
    global_names = {name for arg in dockerfile.global_args for name in arg.names} | PLATFORM_NAMES
    scopes: dict[int, _Scope] = {}
    escape = dockerfile.directives.escape
    upon = parents(dockerfile)
    for stage in dockerfile.stages:
        parent = scopes[upon[stage.index]] if stage.index in upon else None
        scope = scopes[stage.index] = _Scope.of(stage, parent, bases.get(stage.index))
        for instruction in stage.instructions:
            for part in _parts(instruction):
                for name in Lookups.of_step(part, escape):
                    if finding := scope.missing(name, instruction, global_names):
                        yield finding
                scope.names.update(_defined(part))


def _parts(instruction: StageInstruction) -> Iterator[StageInstruction]:
    """An ARG entry by entry, as each sees those before it; all others as they are."""
    if isinstance(instruction, Expose):
        return  # BuildKit does not look at its variables
    if not isinstance(instruction, Arg):
        yield instruction
        return
    for name, default in instruction.entries:
        yield replace(instruction, entries=((name, default),))


class _Scope:
    """The variables that a stage has so far; `is_known` says whether its base can have no others."""

    def __init__(self, names: set[str], *, is_known: bool) -> None:
        self.names = names
        self.is_known = is_known

    @classmethod
    def of(cls, stage: Stage, parent: _Scope | None, base: BaseFacts | None) -> _Scope:
        """What the stage begins with. ARGs of the stage below are gone, which is taken lightly."""
        if parent:
            return cls(set(parent.names), is_known=parent.is_known)
        known = set(base.variables) if base else set()
        return cls(known | _ALWAYS, is_known=base is not None or stage.base.image == "scratch")

    def missing(self, name: str, instruction: StageInstruction, global_names: set[str]) -> Finding | None:
        """The finding about a variable that is not there, if that is certain, or likely enough."""
        if name in self.names:
            return None
        if name in global_names:
            hint = f"an ARG before the first FROM is not seen in stages: write ARG {name} in this one"
        elif near := nearest(name, self.names, cutoff=0.8):
            hint = f"did you mean {near}?"
        elif self.is_known:
            hint = f"define it by ARG {name} or ENV {name}=…"
        else:
            return None
        return Finding("UndefinedVar", instruction, f"the variable {name} is not defined", hint)


def _defined(instruction: StageInstruction) -> list[str]:
    match instruction:
        case Arg():
            return list(instruction.names)
        case Env():
            return [name for name, _ in instruction.pairs]
        case _:
            return []
