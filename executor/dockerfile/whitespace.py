"""What BuildKit takes for a space: Go's `unicode.IsSpace`, which differs from Python's `str.isspace`."""

from __future__ import annotations

import re

SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

_SPACE_RUN = re.compile(f"[{SPACES}]*")

# Words of an instruction are parted by ASCII spaces only; a no-break space stays in its word.
_WORD = re.compile(r"[^\t\v\f\r ]+")


def words_of(text: str, start: int = 0) -> list[tuple[str, int]]:
    """The words of `text`, each with its offset plus `start`."""
    return [(match.group(), start + match.start()) for match in _WORD.finditer(text)]


def skip_spaces(text: str, at: int) -> int:
    """The offset of the first character at or after `at` that is no space."""
    found = _SPACE_RUN.match(text, at)
    return found.end() if found else at


def first_word(text: str, at: int) -> str:
    """The word of `text` that begins at `at`, '' at a space or the end."""
    found = _WORD.match(text, at)
    return found.group() if found else ""
