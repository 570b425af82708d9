"""One logical line cut into keyword, flags and rest; and the rest into words. Offsets are those of the line.

 COPY --from=build --link "a b" /dest
 └─┬┘ └─────┬────────┘ └──────┬─────┘
keyword   flags              rest
"""

from __future__ import annotations

from executor.dataclass import dataclass
from executor.dockerfile.whitespace import SPACES, first_word, skip_spaces


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a logical line: its text (a flag's without quotes and escapes) and where it stands."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The parts of a logical line. `flags` are the words before the arguments that begin with `--`."""

    keyword: Token
    flags: tuple[Token, ...]
    rest: Token


def split_command(line: str, escape: str, start: int = 0) -> CommandLine:
    """Cut the instruction that begins at offset `start` of `line`."""
    line = line.rstrip(SPACES)
    at = skip_spaces(line, start)
    word = first_word(line, at)
    keyword = Token(word, at, at + len(word))
    flags, rest = _read_flags(line, keyword.end, escape)
    rest = skip_spaces(line, rest)
    return CommandLine(keyword, flags, Token(line[rest:], rest, len(line)))


def split_words(rest: Token, escape: str) -> list[Token]:
    """The words of `rest` with quotes and escapes kept; spaces in quotes do not part them.

    An open quote reaches to the end; an escape at the very end is dropped. Used by ARG, ENV and LABEL.
    """
    text, at = rest.text, 0
    words: list[Token] = []
    while True:
        at = skip_spaces(text, at)
        if at == len(text):
            return words
        end, dangling = _word_end(text, at, escape)
        if word := text[at : end - dangling]:
            words.append(Token(word, rest.start + at, rest.start + end))
        at = end


def _word_end(text: str, at: int, escape: str) -> tuple[int, bool]:
    """Where the word that begins at `at` ends, and whether it ends in an escape of nothing."""
    quote = ""
    while at < len(text):
        char = text[at]
        if not quote and char in SPACES:
            break
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape and quote != "'":
            at += 1
            if at == len(text):
                return at, True
        at += 1
    return at, False


def _read_flags(line: str, at: int, escape: str) -> tuple[tuple[Token, ...], int]:
    flags: list[Token] = []
    while True:
        at = skip_spaces(line, at)
        if not line.startswith("--", at):
            return tuple(flags), at
        flag = _read_flag(line, at, escape)
        at = flag.end
        if flag.text == "--":
            return tuple(flags), at
        flags.append(flag)


def _read_flag(line: str, start: int, escape: str) -> Token:
    chars: list[str] = []
    quote, at = "", start
    while at < len(line) and (quote or line[at] not in SPACES):
        char = line[at]
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape:
            at += 1
            chars.append(line[at : at + 1])
        else:
            chars.append(char)
        at += 1
    return Token("".join(chars), start, min(at, len(line)))
