"""One instruction on its way from text to value: its parts, its place, and a list that collects faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from executor.dataclass import dataclass
from executor.dockerfile.instructions import Heredoc
from executor.dockerfile.jsonform import NotStringsError, parse_json_form
from executor.dockerfile.tokens import CommandLine, Token
from executor.errors import Location


class FaultError(Exception):
    """Something wrong at `token`. The parser turns it into a diagnostic; it never leaves the package."""

    def __init__(self, message: str, token: Token, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.token = token
        self.hint = hint


Report = Callable[[FaultError], None]


class Common(TypedDict):
    """The arguments all instructions share."""

    location: Location
    source: str
    comments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a table row's function gets. `report` takes faults that do not end the reading."""

    command: CommandLine
    documents: tuple[Heredoc, ...]
    text: str
    escape: str
    common: Common
    place: Callable[[Token], Location]
    report: Report

    @property
    def is_indented(self) -> bool:
        """Whether spaces stand before it."""
        return self.common["location"].column > 1

    @property
    def keyword(self) -> str:
        """The instruction's name in capitals."""
        return self.command.keyword.text.upper()

    @property
    def rest(self) -> Token:
        """All that follows the flags."""
        return self.command.rest

    def json_form(self) -> tuple[str, ...] | None:
        """The arguments if they are a JSON array of strings, else None. Raises FaultError on other arrays."""
        try:
            return parse_json_form(self.rest.text)
        except NotStringsError as error:
            raise FaultError(str(error), self.rest, 'quote each element: ["a", "1"]') from None

    def fault(self, message: str, hint: str = "") -> FaultError:
        """A fault of the arguments as a whole; of the keyword, if there are none."""
        return FaultError(message, self.rest if self.rest.text else self.command.keyword, hint)
