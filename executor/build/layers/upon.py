"""What a step was made upon: a digest over the results of the RUNs below it, some of which are still to come."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from executor.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Upon:
    """Results up to some step: those that `known` is made of, then those that `later` gives when asked."""

    known: str = ""
    later: tuple[Callable[[], str], ...] = ()

    def then(self, result: str) -> Upon:
        """With one more result; the same when that is ''."""
        if not result:
            return self
        return self.then_later(lambda: result) if self.later else Upon(mixed(self.known, result))

    def then_later(self, result: Callable[[], str]) -> Upon:
        """With a result that is not known yet. Asking for it waits, and raises what kept it from being made."""
        return Upon(self.known, (*self.later, result))

    @property
    def text(self) -> str:
        """The digest in hex, '' for no results; waits for those to come."""
        text = self.known
        for result in self.later:
            text = mixed(text, result())
        return text


def mixed(upon: str, more: str) -> str:
    """`upon` with one more result in it."""
    return hashlib.sha256(f"{upon} {more}".encode()).hexdigest()
