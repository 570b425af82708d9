"""Text to logical lines: parser directives, comments, continuations and heredocs, each with its place.

A logical line is one instruction. It is glued from physical lines; `pieces` says where each part came from,
so that a fault at any offset of it can be shown at its line and column. Behaviour: BuildKit's `parser.Parse`.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from executor.dataclass import dataclass, replace
from executor.dockerfile.heredoc import heredocs_of, strip_leading_tabs
from executor.dockerfile.instructions import Directives, Heredoc
from executor.dockerfile.jsonform import NotStringsError, parse_json_form
from executor.dockerfile.source import SourceText, printable, undecodable
from executor.dockerfile.tokens import CommandLine, split_command
from executor.dockerfile.whitespace import SPACES, skip_spaces
from executor.dockerfile.words import WordError
from executor.errors import Diagnostic

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_TAKES_HEREDOCS = frozenset({"run", "copy", "add"})


@dataclass(frozen=True, slots=True)
class Piece:
    """From `offset` of a logical line on, the text is that of `line` from `column` on (both count from 1)."""

    offset: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One instruction's text without continuation marks and comments, and the heredocs below it.

    `start` and `end` are its first and last physical line, counted from 1, heredocs included. `comments` are the
    texts of the comments above it, back to an empty comment or the instruction before; empty lines do not count.
    """

    text: str
    pieces: tuple[Piece, ...]
    start: int
    end: int
    documents: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at `offset`."""
        piece = self.pieces[max(0, bisect_right(self.pieces, offset, key=lambda piece: piece.offset) - 1)]
        return piece.line, piece.column + offset - piece.offset


@dataclass(frozen=True, slots=True)
class LexedFile:
    """What the lexer found: everything it could read, and all faults and warnings on the way."""

    directives: Directives
    lines: tuple[LogicalLine, ...]
    faults: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]


def lex(source: SourceText, directives: Directives | None = None) -> LexedFile:
    """Cut a file into logical lines. Never raises: faults are in the result.

    `directives` are those of the file that `source` is a part of; without, they are read from `source`.
    """
    return _Lexer(source).run(directives)


class _Lexer:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._at = 0  # index of the next physical line
        self._escape = "\\"
        self._comments: list[str] = []
        self._faults: list[Diagnostic] = []
        self._warnings: list[Diagnostic] = []

    def run(self, directives: Directives | None) -> LexedFile:
        directives = directives or self._directives()
        self._escape = directives.escape
        lines: list[LogicalLine] = []
        while self._at < len(self._source.lines):
            if line := self._logical_line():
                lines.append(line)
        return LexedFile(directives, tuple(lines), tuple(self._faults), tuple(self._warnings))

    def _fault(self, line: int, column: int, length: int, message: str, hint: str = "") -> None:
        self._faults.append(self._source.diagnostic(line, column, length, message, hint))

    # --- directives

    def _directives(self) -> Directives:
        """Read `# key=value` lines up to the first line that is none; a key must be known and stand once."""
        found: dict[str, str] = {}
        for number, raw in enumerate(self._source.lines, start=1):
            directive = _directive(raw)
            if directive is None:
                break
            self._at = number
            key, value, column = directive
            if key in found:
                self._fault(number, column, len(key), f"only one {key} parser directive can be used")
            elif key == "escape" and value not in ("\\", "`"):
                hint = "write `# escape=\\` or `# escape=``"
                self._fault(number, column, len(key), f"invalid escape token {value!r}", hint)
            else:
                found[key] = printable(value)
        return Directives(
            escape=found.get("escape", "\\"),
            syntax=found.get("syntax", "").partition(" ")[0],
            check=found.get("check", "").partition(" ")[0],
        )

    # --- logical lines

    def _logical_line(self) -> LogicalLine | None:
        start = self._at + 1
        text = self._next_line()
        column = skip_spaces(text, 0)
        if text.startswith("#"):
            self._comment(text)
        text = "" if _is_comment(text) else text[column:]
        text, continues = self._continues(text)
        if not continues and not text:
            return None
        pieces = [Piece(0, start, column + 1)]
        parts = [text]
        if continues:
            self._continuation_lines(parts, pieces)
        line = LogicalLine("".join(parts), tuple(pieces), start, self._at, comments=tuple(self._comments))
        self._comments.clear()
        if not self._is_readable(line):
            return None
        return self._with_documents(line)

    def _comment(self, line: str) -> None:
        if text := printable(line[1:].strip(SPACES)):
            self._comments.append(text)
        else:
            self._comments.clear()

    def _next_line(self) -> str:
        line = self._source.lines[self._at].rstrip("\r\n")
        self._at += 1
        return line

    def _continues(self, text: str) -> tuple[str, bool]:
        """`text` without the escape that ends it (spaces may follow), and whether there is one.

        Two escapes are an escaped escape and end the line.
        """
        bare = text.rstrip(" \t")
        if not bare.endswith(self._escape) or bare.endswith(self._escape * 2):
            return text, False
        return bare[:-1], True

    def _continuation_lines(self, parts: list[str], pieces: list[Piece]) -> None:
        length, blank, continues = len(parts[0]), 0, True
        while continues and self._at < len(self._source.lines):
            text = self._next_line()
            if _is_comment(text):
                continue
            if not text.strip(SPACES):
                blank = blank or self._at
                continue
            text, continues = self._continues(text)
            pieces.append(Piece(length, self._at, 1))
            parts.append(text)
            length += len(text)
        if blank:
            found = self._source.diagnostic(blank, 1, 1, "empty continuation line", "remove it or write a comment")
            self._warnings.append(replace(found, path="NoEmptyContinuation"))

    def _is_readable(self, line: LogicalLine) -> bool:
        offset = undecodable(line.text)
        if offset >= 0:
            self._fault(*line.position(offset), 1, "the text is not valid UTF-8", "save the file as UTF-8")
        return offset < 0

    # --- heredocs

    def _with_documents(self, line: LogicalLine) -> LogicalLine | None:
        if "<<" not in line.text or not _can_have_heredocs(line.text, self._escape):
            return line
        try:
            documents = tuple(self._read_document(line, document) for document in heredocs_of(line.text))
        except WordError as error:
            self._fault(*line.position(line.text.index("<<")), 2, error.message)
            return None
        return replace(line, documents=documents, end=self._at)

    def _read_document(self, line: LogicalLine, document: Heredoc) -> Heredoc:
        first = self._at
        while self._at < len(self._source.lines):
            text = self._next_line()
            if (text.lstrip("\t") if document.strip_tabs else text) == document.name:
                return self._document(document, first, self._at - 1)
        place = line.position(max(0, line.text.find(document.name)))
        hint = f"end it with a line that holds {document.name!r} and nothing else"
        if almost := self._almost_end(document, first):
            hint = f"{hint}: in line {almost} spaces stand beside it"
        self._fault(*place, len(document.name), f"unterminated heredoc {document.name!r}", hint)
        return document

    def _almost_end(self, document: Heredoc, first: int) -> int:
        """The number of the first line that would end a document but for spaces, 0 for none."""
        lines = enumerate(self._source.lines[first:], start=first + 1)
        return next((number for number, line in lines if line.strip(SPACES) == document.name), 0)

    def _document(self, document: Heredoc, first: int, end: int) -> Heredoc:
        written = "".join(self._source.lines[first:end])
        if undecodable(written) >= 0:
            number = next(i for i in range(first, end) if undecodable(self._source.lines[i]) >= 0)
            column = undecodable(self._source.lines[number]) + 1
            self._fault(number + 1, column, 1, "the text is not valid UTF-8", "save the file as UTF-8")
        content = strip_leading_tabs(written) if document.strip_tabs else written
        return replace(document, content=content, written=written)


def _directive(raw: str) -> tuple[str, str, int] | None:
    """Key, value and column of the key, if the line is a parser directive."""
    text = raw.rstrip("\r\n")
    start = skip_spaces(text, 0)
    if not text.startswith("#", start):
        return None
    start = skip_spaces(text, start + 1)
    match = _DIRECTIVE.fullmatch(text, start)
    if not match or match[1].lower() not in _DIRECTIVES:
        return None
    return match[1].lower(), match[2], start + 1


def _is_comment(text: str) -> bool:
    return text.startswith("#", skip_spaces(text, 0))


def _can_have_heredocs(text: str, escape: str) -> bool:
    command = split_command(text, escape)
    if command.keyword.text.lower() == "onbuild":
        command = split_command(text, escape, command.rest.start)
    return command.keyword.text.lower() in _TAKES_HEREDOCS and not _is_json(command)


def _is_json(command: CommandLine) -> bool:
    try:
        return parse_json_form(command.rest.text) is not None
    except NotStringsError:
        return True
