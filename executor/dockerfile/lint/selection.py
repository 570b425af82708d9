"""Which rules count: `# check=skip=A,B;error=true`, as BuildKit reads it."""

from __future__ import annotations

from executor.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """`skip` are names of rules, `skip_all` means every one; `error`: what is found shall fail the build."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    error: bool = False

    @classmethod
    def parse(cls, directive: str) -> CheckOptions:
        """Read the value of `# check=`. What is not understood is not heeded: it may be a newer BuildKit's."""
        found = dict(part.partition("=")[::2] for part in directive.split(";"))
        names = frozenset(name.strip().lower() for name in found.get("skip", "").split(",") if name.strip())
        return cls(skip=names, skip_all="all" in names, error=found.get("error", "").lower() in ("true", "1"))

    def wants(self, rule: str) -> bool:
        """Whether the rule counts."""
        return not self.skip_all and rule.lower() not in self.skip
