"""What a check finds, and how checks look at the text of an instruction."""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import dataclass
from executor.dockerfile.instructions import From, StageInstruction
from executor.errors import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFacts:
    """What is known of the image that a stage builds upon: its variables, and the platforms asked for and had."""

    variables: Mapping[str, str]
    wanted: str
    had: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's name, the instruction it is about, what is wrong, and what to write."""

    rule: str
    instruction: From | StageInstruction
    message: str
    hint: str = ""

    def diagnostic(self) -> Diagnostic:
        """The same with its place and the instruction's first line."""
        excerpt = self.instruction.source.partition("\n")[0]
        return Diagnostic(self.instruction.location, self.message, path=self.rule, hint=self.hint, excerpt=excerpt)


def keyword(instruction: From | StageInstruction) -> str:
    """The instruction's name as it is written."""
    return instruction.source.split(maxsplit=1)[0]
