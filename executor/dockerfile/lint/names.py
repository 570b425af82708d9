"""How instructions and stages are called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from executor.dockerfile.instructions import Arg, Dockerfile, From, StageInstruction
from executor.dockerfile.lint.finding import Finding, keyword

_AS = re.compile(r"[\s\\`]([aA][sS])[\s\\`]+(\S+)\s*\Z")
_RESERVED = frozenset({"context", "scratch"})


def instruction_casing(dockerfile: Dockerfile) -> Iterator[Finding]:
    """ConsistentInstructionCasing. ARGs before the first FROM are not looked at, as in BuildKit."""
    instructions: list[From | StageInstruction] = []
    for stage in dockerfile.stages:
        instructions += [stage.base, *stage.instructions]
    written = [keyword(instruction) for instruction in instructions]
    lower = sum(word.islower() for word in written) > sum(word.isupper() for word in written)
    for instruction, word in zip(instructions, written, strict=True):
        right = word.lower() if lower else word.upper()
        if word != right:
            majority = "lower" if lower else "upper"
            message = f"{word} is not in {majority} case, as most instructions are"
            yield Finding("ConsistentInstructionCasing", instruction, message, f"write {right}")


def as_casing(dockerfile: Dockerfile) -> Iterator[Finding]:
    """FromAsCasing."""
    for stage in dockerfile.stages:
        word, written = keyword(stage.base), _AS.search(stage.base.source)
        if written and (word.islower() or word.isupper()) and written[1].isupper() != word.isupper():
            right = "AS" if word.isupper() else "as"
            message = f"{word} and {written[1]} are not in the same case"
            yield Finding("FromAsCasing", stage.base, message, f"write {right}")


def stage_names(dockerfile: Dockerfile) -> Iterator[Finding]:
    """StageNameCasing, ReservedStageName, DuplicateStageName."""
    seen: set[str] = set()
    for stage in dockerfile.stages:
        written = _AS.search(stage.base.source)
        if not stage.name or not written:
            continue
        if written[2] != written[2].lower():
            message = f"the stage name {written[2]} is not in lower case"
            yield Finding("StageNameCasing", stage.base, message, f"write {stage.name}")
        if stage.name in _RESERVED:
            message = f"the stage name {stage.name} is reserved"
            yield Finding("ReservedStageName", stage.base, message, "choose another")
        if stage.name in seen:
            message = f"the stage name {stage.name} is used twice"
            yield Finding("DuplicateStageName", stage.base, message, "the last one counts: choose another")
        seen.add(stage.name)


def descriptions(dockerfile: Dockerfile) -> Iterator[Finding]:
    """InvalidDefinitionDescription."""
    described: list[tuple[From | Arg, tuple[str, ...]]] = [(arg, arg.names) for arg in dockerfile.global_args]
    for stage in dockerfile.stages:
        described += [(stage.base, (stage.name,))] if stage.name else []
        described += [(step, step.names) for step in stage.instructions if isinstance(step, Arg)]
    for instruction, names in described:
        if instruction.comments and instruction.comments[-1].split(" ")[0] not in names:
            message = f"the comment above {keyword(instruction)} does not begin with the name that it describes"
            hint = f"write # {names[0]} and what it is, or an empty comment (#) between the two"
            yield Finding("InvalidDefinitionDescription", instruction, message, hint)
