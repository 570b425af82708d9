"""Shell words as BuildKit's frontend expands them: `$x`, `${x…}`, quotes and escapes; no command substitution.

${x:-w} ${x-w}   w if x is unset (`:` or empty)     ${x#p} ${x##p}   x without its shortest/longest prefix p
${x:+w} ${x+w}   w if x is set   (`:` and not empty) ${x%p} ${x%%p}   x without its shortest/longest suffix p
${x:?w} ${x?w}   fail with w if x is unset            ${x/p/r} ${x//p/r}  first/every p in x replaced by r
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from executor.dataclass import dataclass
from executor.dockerfile.shellpattern import replace, trim_prefix, trim_suffix
from executor.dockerfile.whitespace import SPACES
from executor.errors import Error

_SPECIAL_PARAMETERS = "@*#?-$!0"
_SPACES = re.compile(f"[{SPACES}]+")
_PLAIN_RUN = re.compile(r"[^$<'\"\\`}/]+")
_MAX_DEPTH = 100  # of nested `${…}`: far beyond use, well below the interpreter's stack


class WordError(Error):
    """A word that cannot be expanded. The caller knows the place and adds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mode:
    escape: str = "\\"
    keep_quotes: bool = False
    keep_escapes: bool = False
    keep_unset: bool = False
    plain_quotes: bool = False


def expand(word: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Expand `word` to one word, spaces kept, quotes and escapes taken away.

    Raises WordError on a bad substitution, an open quote, or a `${x:?}` that fails. Behaviour: BuildKit's
    `shell.Lex.ProcessWord`.
    """
    return _run(word, variables, _Mode(escape=escape))[0]


def expand_document(text: str, variables: Mapping[str, str]) -> str:
    """Expand the body of a heredoc: quotes are plain characters, and the escape is always a backslash."""
    return _run(text, variables, _Mode(plain_quotes=True))[0]


def expand_words(
    text: str,
    variables: Mapping[str, str],
    *,
    escape: str = "\\",
    keep_quotes: bool = False,
    keep_escapes: bool = False,
    keep_unset: bool = False,
) -> tuple[str, ...]:
    """Expand `text` and then split it at spaces that are not quoted. Empty words vanish, even quoted ones.

    Quotes and escapes are taken away unless they are to be kept; `keep_unset` leaves references to unset variables
    as they are. Raises what `expand` raises. Behaviour: BuildKit's `shell.Lex.ProcessWords`.
    """
    mode = _Mode(escape=escape, keep_quotes=keep_quotes, keep_escapes=keep_escapes, keep_unset=keep_unset)
    return _run(text, variables, mode)[1]


def _run(text: str, variables: Mapping[str, str], mode: _Mode) -> tuple[str, tuple[str, ...]]:
    """`text` expanded, whole and in words."""
    try:
        return _Reader(text, variables, mode).read_until("", keep_escapes=mode.keep_escapes)
    except WordError as error:
        shown = text if len(text) <= 200 else f"{text[:200]}…"
        raise WordError(f"cannot expand {shown!r}: {error.message}", hint=error.hint) from None


class _Words:
    """Collects the words of a text whose quoted parts must not be split."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._open: list[str] = []

    def add(self, text: str) -> None:
        self._open.append(text)

    def add_splitting(self, text: str) -> None:
        first, *others = _SPACES.split(text)
        self._open.append(first)
        for part in others:
            self._close()
            self._open.append(part)

    def _close(self) -> None:
        if word := "".join(self._open):
            self._done.append(word)
        self._open.clear()

    def all(self) -> tuple[str, ...]:
        self._close()
        return tuple(self._done)


class _Reader:
    """Reads a text once, left to right. Each method starts at the character that named it and ends behind."""

    def __init__(self, text: str, variables: Mapping[str, str], mode: _Mode) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._variables = variables
        self._mode = mode
        self._keep_escapes = mode.keep_escapes
        self._special: dict[str, Callable[[], str]] = {"$": self._dollar, "<": self._less_than}
        if not mode.plain_quotes:
            self._special |= {"'": self._single_quoted, '"': self._double_quoted}

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += len(char)
        return char

    def read_until(self, stop: str, *, keep_escapes: bool) -> tuple[str, tuple[str, ...]]:
        """Expand up to and with `stop` ('' is the end of the text); returns it whole and in words."""
        outer, self._keep_escapes = self._keep_escapes, keep_escapes
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise WordError(f"more than {_MAX_DEPTH} nested substitutions")
        parts: list[str] = []
        words = _Words()
        while (char := self._peek()) and char != stop:
            parts.append(self._piece(char, words))
        if stop and not self._next():
            raise WordError(f"unexpected end of statement while looking for matching {stop}")
        self._keep_escapes = outer
        self._depth -= 1
        return "".join(parts), words.all()

    def _piece(self, char: str, words: _Words) -> str:
        if special := self._special.get(char):
            text = special()
        elif char == self._mode.escape:
            text = self._escaped()
        else:
            text = self._plain()
            words.add_splitting(text)
            return text
        if char == "$":
            words.add_splitting(text)
        else:
            words.add(text)
        return text

    def _plain(self) -> str:
        # A run at a time; a character that is special elsewhere (`}`, `/`, a quote in a document) comes alone.
        run = _PLAIN_RUN.match(self._text, self._at)
        if not run:
            return self._next()
        self._at = run.end()
        return run.group()

    def _escaped(self) -> str:
        mark = self._next()
        return (mark if self._keep_escapes else "") + self._next()

    def _single_quoted(self) -> str:
        quote = self._next()
        end = self._text.find(quote, self._at)
        if end < 0:
            self._at = len(self._text)
            raise WordError("unexpected end of statement while looking for matching single-quote")
        inner, self._at = self._text[self._at : end], end + 1
        return quote + inner + quote if self._mode.keep_quotes else inner

    def _double_quoted(self) -> str:
        quote = self._next()
        parts: list[str] = []
        while (char := self._peek()) != quote:
            if not char:
                raise WordError("unexpected end of statement while looking for matching double-quote")
            if char == "$":
                parts.append(self._dollar())
            elif char == self._mode.escape:
                parts.append(self._escaped_in_quotes())
            else:
                parts.append(self._next())
        self._next()
        inner = "".join(parts)
        return quote + inner + quote if self._mode.keep_quotes else inner

    def _escaped_in_quotes(self) -> str:
        mark = self._next()
        kept = mark if self._keep_escapes else ""
        if not self._peek():
            return kept
        # Only these can be escaped between double quotes; before all else the mark is a plain character.
        return kept + (self._next() if self._peek() in ('"', "$", mark) else mark)

    def _less_than(self) -> str:
        """`<<` keeps the spaces behind it: `<< EOF` is one word, the way a heredoc may be written."""
        self._next()
        if self._peek() != "<":
            return "<"
        self._next()
        start = self._at
        while self._peek() and self._peek() in "\t\r ":
            self._next()
        return "<<" + self._text[start : self._at]

    def _dollar(self) -> str:
        self._next()
        if self._peek() != "{":
            name = self._name()
            return self._value_or(name, f"${name}") if name else "$"
        self._next()
        if not self._peek():
            raise WordError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise WordError("syntax error: bad substitution")
        name = self._name()
        operator = self._next()
        match operator:
            case "}":
                return self._value_or(name, f"${{{name}}}")
            case "/":
                return self._replaced(name)
            case ":" | "+" | "-" | "?" | "#" | "%":
                return self._modified(name, operator)
            case "":
                raise WordError("syntax error: missing '}'")
            case _:
                shown = operator if operator.isprintable() else repr(operator)[1:-1]
                raise WordError(f"unsupported modifier ({shown}) in substitution")

    def _name(self) -> str:
        start = self._at
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self._next()
        elif first and first in _SPECIAL_PARAMETERS:
            self._next()
        else:
            while (char := self._peek()).isalpha() or char.isdecimal() or char == "_":
                self._next()
        return self._text[start : self._at]

    def _value_or(self, name: str, written: str) -> str:
        value = self._variables.get(name)
        if value is None:
            return written if self._mode.keep_unset else ""
        return value

    def _operand(self, stop: str, *, keep_escapes: bool) -> str:
        try:
            return self.read_until(stop, keep_escapes=keep_escapes)[0]
        except WordError:
            if not self._peek():
                raise WordError(f"syntax error: missing '{stop}'") from None
            raise

    def _modified(self, name: str, operator: str) -> str:
        nullable = operator == ":"
        kind = self._next() if nullable else operator
        if kind not in ("+", "-", "?", "#", "%") or (nullable and kind in "#%"):
            raise WordError(f"unsupported modifier ({operator}{kind if nullable else ''}) in substitution")
        word = self._operand("}", keep_escapes=kind in "#%")
        value = self._variables.get(name)
        if value is None and self._mode.keep_unset:
            return f"${{{name}{':' if nullable else ''}{kind}{word}}}"
        if kind in "#%":
            return self._trimmed(value or "", kind, word)
        absent = value is None or (nullable and not value)
        if kind == "+":
            return "" if absent else word
        if not absent:
            return value or ""
        if kind == "-":
            return word
        state = "unset" if value is None else "empty"
        raise WordError(f"{name}: {word or f'is not allowed to be {state}'}")

    @staticmethod
    def _trimmed(value: str, kind: str, pattern: str) -> str:
        longest = pattern.startswith(kind)
        trim = trim_prefix if kind == "#" else trim_suffix
        try:
            return trim(value, pattern[1:] if longest else pattern, longest=longest)
        except ValueError as error:
            raise WordError(f"invalid pattern ({pattern}) in substitution: {error}") from None

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self._next()
        pattern = self._operand("/", keep_escapes=True)
        replacement = self._operand("}", keep_escapes=True)
        value = self._variables.get(name)
        if value is None and self._mode.keep_unset:
            return f"${{{name}/{'/' if every else ''}{pattern}/{replacement}}}"
        try:
            return replace(value or "", pattern, replacement, every=every)
        except ValueError as error:
            raise WordError(f"invalid pattern ({pattern}) in substitution: {error}") from None
