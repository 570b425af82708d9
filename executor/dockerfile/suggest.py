"""Hints of the form "did you mean …?" for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, options: Iterable[str], prefix: str = "") -> str:
    """`did you mean X?` with the option nearest to `word` (case apart), or '' when none is near."""
    by_folded = {option.casefold(): option for option in options}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"did you mean {prefix}{by_folded[near[0]]}?" if near else ""


def one_of(options: Iterable[str]) -> str:
    """The options in words, for messages: `a, b or c`."""
    *head, last = options
    return f"{', '.join(head)} or {last}" if head else last
