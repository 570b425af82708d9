"""Hints of the form "did you mean …?" for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, options: Iterable[str], otherwise: str = "") -> str:
    """`did you mean 'X'?` with the option that is most like `word`; `otherwise` when none is like it."""
    close = difflib.get_close_matches(word, list(options), n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise
