"""A fault of an instruction that is already a value: where its text stands in the file, marked.

Of an instruction that could not be carried out all lines are shown, as BuildKit does:

  7 | >>> RUN make \\
  8 | >>>     install
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from executor.dockerfile.instructions import Arg, Dockerfile, From, StageInstruction
from executor.dockerfile.source import excerpt
from executor.errors import Diagnostic, Error, Location, visible, without_passwords

_MOST_LINES = 12
_WIDTH = 110


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


@contextmanager
def quoting(dockerfile: Dockerfile) -> Iterator[None]:
    """Errors raised within that have a place in `dockerfile`, and quote nothing yet, quote its lines."""
    try:
        yield
    except Error as error:
        if error.location and not error.excerpt:
            error.excerpt = quoted(dockerfile, error.location)
        raise


def quoted(dockerfile: Dockerfile, place: Location) -> str:
    """The lines of the instruction at `place`, numbered and marked; '' for what is in another file."""
    found = next((step for step in _instructions(dockerfile) if _holds(step.location, place)), None)
    if found is None:
        return ""
    first, last = place.line, max(place.line, place.end_line)
    lines = list(enumerate(without_passwords(found.source).split("\n"), start=found.location.line))
    shown = [(number, text.rstrip("\r")) for number, text in lines if first <= number <= last]
    rows = [f"{number:>3} | >>> {visible(_cut(text))}".rstrip() for number, text in shown[:_MOST_LINES]]
    more = len(shown) - _MOST_LINES
    return "\n".join(
        [*rows, *([f"    |     … {more} more {'line' if more == 1 else 'lines'}"] if more > 0 else [])]
    )


def _instructions(dockerfile: Dockerfile) -> Iterator[Arg | From | StageInstruction]:
    yield from dockerfile.global_args
    for stage in dockerfile.stages:
        yield stage.base
        yield from stage.instructions


def _holds(whole: Location, place: Location) -> bool:
    return whole.file == place.file and whole.line <= place.line <= max(whole.line, whole.end_line)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
