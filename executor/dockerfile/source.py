"""The text of a file as numbered lines, and faults in it with the place marked.

3 | RUN --mont=type=cache make
  |     ^^^^^^
"""

from __future__ import annotations

import re

from executor.dataclass import dataclass
from executor.errors import Diagnostic, InvalidFileError, Location, visible

_EXCERPT_WIDTH = 110
_UNDECODABLE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's name and its lines, each with its line ending; only a newline ends a line."""

    file: str
    lines: tuple[str, ...]

    def diagnostic(self, line: int, column: int, length: int, message: str, hint: str = "") -> Diagnostic:
        """A fault of `length` characters at `line`:`column` (from 1), with the line as its excerpt."""
        location = Location(self.file, line, column, line)
        shown = excerpt(line, printable(self.lines[line - 1].rstrip("\r\n")), column, length)
        return Diagnostic(location, message, hint=hint, excerpt=shown)

    def text_between(self, start: int, end: int) -> str:
        """The lines `start` to `end` (inclusive, from 1) as written, without the last line's ending."""
        return printable("".join(self.lines[start - 1 : end]).rstrip("\r\n"))


def read_source(text: str | bytes, file: str) -> SourceText:
    """Split a file into lines. A byte order mark is dropped; bytes that are not UTF-8 become lone surrogates.

    Raises InvalidFileError if the text holds a NUL: it is binary, or UTF-16 as some Windows editors write.
    """
    decoded = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    lines = decoded.removeprefix("\ufeff").split("\n")
    source = SourceText(file, (*(f"{line}\n" for line in lines[:-1]), *([lines[-1]] if lines[-1] else [])))
    for number, line in enumerate(source.lines, start=1):
        if "\0" in line:
            hint = "save it as UTF-8 (it looks like UTF-16 or a binary file)"
            fault = source.diagnostic(number, line.index("\0") + 1, 1, "the file holds a NUL character", hint)
            raise InvalidFileError([fault])
    return source


def undecodable(text: str) -> int:
    """The offset of the first character that was no UTF-8, or -1."""
    found = _UNDECODABLE.search(text)
    return found.start() if found else -1


def printable(text: str) -> str:
    """`text` with what was no UTF-8 replaced, so that it can be encoded again."""
    return _UNDECODABLE.sub("\ufffd", text)


def excerpt(number: int, text: str, column: int, length: int) -> str:
    """Line `number`, whose text is `text`, with `length` characters from `column` (from 1) on marked below it."""
    start = max(0, column - 1 - _EXCERPT_WIDTH // 2) if len(text) > _EXCERPT_WIDTH else 0
    shown, before = text[start : start + _EXCERPT_WIDTH], text[start : column - 1]
    # Tabs are repeated so that the mark stands below the fault whatever their width.
    indent = "".join("\t" if char == "\t" else " " * len(visible(char)) for char in before)
    mark = "^" * max(1, len(visible(shown[len(before) : len(before) + length])))
    gutter = f"{number:>3}"
    return f"{gutter} | {visible(shown)}\n{' ' * len(gutter)} | {indent}{mark}"
