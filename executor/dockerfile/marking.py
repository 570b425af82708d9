"""A fault in the middle of an instruction that is already a value: where its text stands in the file, marked."""

from __future__ import annotations

from executor.dockerfile.instructions import From, StageInstruction
from executor.dockerfile.source import excerpt
from executor.errors import Diagnostic, Location


def fault_in(
    instruction: From | StageInstruction, text: str, message: str, hint: str = "", *, line: int = 0
) -> Diagnostic:
    """A fault of `text`, a part of `instruction` as it is written; of the keyword, if it is not found there.

    It is looked for from `line` of the file on. Of a text over several lines the first is marked.
    """
    place = instruction.location
    lines = instruction.source.split("\n")
    keyword = lines[0].split(maxsplit=1)[0] if lines[0].strip() else ""
    row, start, length = 0, 0, len(keyword)
    # The first line has lost its indentation: it begins with the keyword, at the instruction's column.
    wanted = text.split("\n", 1)[0]
    for number in range(max(0, line - place.line), len(lines) if wanted else 0):
        found = lines[number].find(wanted, 0 if number else len(keyword))
        if found >= 0:
            row, start, length = number, found, len(wanted)
            break
    shown = lines[row] if row else " " * (place.column - 1) + lines[0]
    column = start + (1 if row else place.column)
    location = Location(place.file, place.line + row, column, place.line + row)
    return Diagnostic(
        location, message, hint=hint, excerpt=excerpt(location.line, shown.rstrip("\r"), column, length)
    )
