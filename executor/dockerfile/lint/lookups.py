"""Which variables an instruction asks for: expand it with a mapping that has nothing, and remember the names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

from executor.dockerfile.expansion import expand_from, expand_instruction, expand_word_at
from executor.dockerfile.instructions import Arg, From, StageInstruction
from executor.errors import Error

_PLAIN = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class Lookups(Mapping[str, str]):
    """Has the `values` alone; the names that were asked for are in `names`."""

    def __init__(self, **values: str) -> None:
        self.names: dict[str, None] = {}
        self._values = values

    @classmethod
    def of_base(cls, base: From, escape: str) -> list[str]:
        """The variables of a FROM, but for those with a default of their own (`${a:-b}`)."""
        lookups = cls()
        with contextlib.suppress(Error):  # the build says it
            expand_from(base, lookups, escape=escape)
        return lookups._plain(f"{base.image} {base.platform}")

    @classmethod
    def of_step(cls, instruction: StageInstruction, escape: str) -> list[str]:
        """The variables that BuildKit expands in an instruction, but for those with a default of their own."""
        lookups = cls()
        with contextlib.suppress(Error):  # the build says it
            if isinstance(instruction, Arg):
                for _, default in instruction.entries:
                    expand_word_at(default or "", lookups, instruction, escape)
            expand_instruction(instruction, lookups, escape=escape)
        return lookups._plain(instruction.source)

    def __getitem__(self, name: str) -> str:
        self.names[name] = None
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def _plain(self, text: str) -> list[str]:
        plain = {found[1] or found[2] for found in _PLAIN.finditer(text)}
        return [name for name in self.names if name in plain]
