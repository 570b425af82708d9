"""Hints of the form "did you mean …?" for names that do not exist."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, options: Iterable[str], prefix: str = "") -> str:
    """`did you mean X?` with the option nearest to `word` (case apart), or '' when none is near."""
    by_folded = {option.casefold(): option for option in options}
    near = nearest(word.casefold(), by_folded)
    return f"did you mean {prefix}{by_folded[near]}?" if near else ""


def nearest(word: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """The option that is most like `word`, '' when none is as like it as `cutoff` (0 to 1)."""
    import difflib  # few builds have something to suggest

    near = difflib.get_close_matches(word, tuple(options), n=1, cutoff=cutoff)
    return near[0] if near else ""


def one_of(options: Iterable[str]) -> str:
    """The options in words, for messages: `a, b or c`."""
    *head, last = options
    return f"{', '.join(head)} or {last}" if head else last
