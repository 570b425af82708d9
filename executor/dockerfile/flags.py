"""The `--flags` of instructions: which an instruction has, of which kind, and what was written."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from executor.dataclass import dataclass
from executor.dockerfile.statement import FaultError, Report
from executor.dockerfile.suggest import did_you_mean
from executor.dockerfile.tokens import Token


class Kind(Enum):
    """BOOL: `--f`, `--f=true`, `--f=false`. TEXT: `--f=value`, once. TEXTS: `--f=value`, any number of times."""

    BOOL = "bool"
    TEXT = "text"
    TEXTS = "texts"


FlagTable = Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that were written, by name without dashes; each value keeps the place of its flag."""

    values: Mapping[str, tuple[Token, ...]]

    def tokens(self, name: str) -> tuple[Token, ...]:
        """The values of a flag in order; a bare BOOL flag has the text ''."""
        return self.values.get(name, ())

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a TEXTS flag."""
        return tuple(token.text for token in self.tokens(name))

    def text(self, name: str) -> str:
        """The value of a TEXT flag, '' if it is not written."""
        return next(iter(self.texts(name)), "")

    def boolean(self, name: str) -> bool | None:
        """The value of a BOOL flag, None if it is not written."""
        texts = self.texts(name)
        return texts[0].lower() != "false" if texts else None


def read_flags(tokens: tuple[Token, ...], table: FlagTable, report: Report) -> Flags:
    """Check `tokens` against `table`. Faults are reported, and the flag left out."""
    values: dict[str, tuple[Token, ...]] = {}
    for token in tokens:
        try:
            name, value = _read_flag(token, table)
        except FaultError as fault:
            report(fault)
            continue
        if name in values and table[name] is not Kind.TEXTS:
            report(FaultError(f"flag --{name} is given twice", token))
        values[name] = (*values.get(name, ()), value)
    return Flags(values)


def _read_flag(token: Token, table: FlagTable) -> tuple[str, Token]:
    name, equals, value = token.text.removeprefix("--").partition("=")
    kind = table.get(name)
    if kind is None:
        raise FaultError(f"unknown flag --{name}", token, did_you_mean(name, table, "--") or _known(table))
    if kind is not Kind.BOOL:
        if not equals:
            raise FaultError(f"flag --{name} needs a value", token, f"write --{name}=…")
    elif (equals and not value) or value.lower() not in ("", "true", "false"):
        raise FaultError(f"flag --{name} is true or false, not {value!r}", token)
    return name, Token(value, token.start, token.end)


def _known(table: FlagTable) -> str:
    return f"its flags are {', '.join(f'--{name}' for name in table)}" if table else "it has no flags"
