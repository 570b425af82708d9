"""Which rules count: `# check=skip=A,B;error=true`, as BuildKit reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from executor.dataclass import dataclass, replace
from executor.dockerfile.runflags import parse_bool
from executor.dockerfile.suggest import did_you_mean

_LOCAL = re.compile(r"check\s*=\s*(\S+)", re.IGNORECASE)
_ALL = "all"
_NAMES = ("skip", "error", "experimental")


class CheckOptionError(ValueError):
    """An option of `check=` is wrong; the message is for the user, `hint` may hold a way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """`skip` are names of rules, `experimental` those that have to be asked for; `all` in them means every one.

    `error`: what is found shall fail the build.
    """

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> CheckOptions:
        """Read the value of `# check=`. Raises CheckOptionError where BuildKit does."""
        options = cls()
        for part in filter(None, (part.strip() for part in text.strip().split(";", 2))):
            key, equals, value = part.partition("=")
            name = key.strip()
            if not equals or name not in _NAMES:
                raise CheckOptionError(f"invalid check option {part!r}", did_you_mean(name, _NAMES) or _FORM)
            rules = frozenset(rule.strip() for rule in value.split(","))
            if name == "error":
                options = replace(options, error=_boolean(part, value.strip()))
            elif name == "skip":
                options = replace(options, skip=rules)
            else:
                options = replace(options, experimental=rules)
        return options

    def beside(self, comments: Iterable[str]) -> CheckOptions:
        """These options for an instruction with `comments` above it: a `check=` among them skips rules there."""
        for comment in comments:
            if found := _LOCAL.match(comment):
                try:
                    local = CheckOptions.parse(found[1])
                except CheckOptionError:
                    return self
                experimental = self.experimental | local.experimental
                return replace(self, skip=self.skip | local.skip, experimental=experimental)
        return self

    def wants(self, rule: str, *, experimental: bool = False) -> bool:
        """Whether the rule counts."""
        if experimental:
            return not self.experimental.isdisjoint((_ALL, rule))
        return self.skip.isdisjoint((_ALL, rule))


_FORM = "write skip=Rule,Rule;error=true"


def _boolean(part: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError as error:
        raise CheckOptionError(f"invalid check option {part!r}: {error}", _FORM) from error
