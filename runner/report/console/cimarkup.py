"""What CI servers make of certain lines of a log: sections to fold, and notes beside the lines of a file.

GitLab   ESC[0Ksection_start:TIME:NAME[collapsed=true]CR ESC[0KTITLE   …   ESC[0Ksection_end:TIME:NAMECR ESC[0K
GitHub   ::group::TITLE   …   ::endgroup::   ::error file=FILE,line=LINE,col=COLUMN,title=TITLE::MESSAGE
These lines stand alone: every line of a build has its image before it, so no build can write one.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

from executor import events
from executor.dataclass import dataclass
from executor.errors import visible
from runner.outcome import Outcome

Level: TypeAlias = Literal["error", "warning"]
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?\Z")
_CLEAR = "\x1b[0K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something about an image that deserves to be seen outside of the log. `line` and `column` 0: none."""

    level: Level
    image: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> Note:
        """Of an image that is not as it should be."""
        return cls(
            level="error",
            image=outcome.name,
            message=f"{outcome.status}: {outcome.message}",
            file=outcome.file,
            line=outcome.line,
        )

    @classmethod
    def of_warning(cls, image: str, warning: events.Warned) -> Note:
        """Of a warning, whose location is `file:line`, `file:line:column` or empty."""
        place = _PLACE.match(warning.location)
        file, line = (place["file"], int(place["line"])) if place else ("", 0)
        column = int(place["column"] or 0) if place else 0
        return cls(level="warning", image=image, message=warning.message, file=file, line=line, column=column)


class Markup(Protocol):
    """Each method gives the line to write, or '' for none. `folds`: there are sections."""

    @property
    def folds(self) -> bool:
        """Whether the server has sections."""

    def begin(self, name: str, title: str, *, ago: float = 0.0, folded: bool = True) -> str:
        """What follows, up to `end`, is a section that can be folded; what it tells of began seconds `ago`."""

    def end(self, name: str) -> str:
        """The section is over."""

    def note(self, note: Note) -> str:
        """Show a note beside the file it is about."""


class NoMarkup:
    """For terminals, files and other CI servers."""

    folds = False

    def begin(self, name: str, title: str, *, ago: float = 0.0, folded: bool = True) -> str:  # noqa: ARG002
        """No sections."""
        return ""

    def end(self, name: str) -> str:  # noqa: ARG002  # the protocol's names
        """No sections."""
        return ""

    def note(self, note: Note) -> str:  # noqa: ARG002  # the protocol's names
        """No notes."""
        return ""


@dataclass(frozen=True, slots=True)
class GitLabMarkup:
    """`now` gives seconds since 1970. Sections are folded: what failed is said after them."""

    now: Callable[[], float] = time.time
    folds = True

    def begin(self, name: str, title: str, *, ago: float = 0.0, folded: bool = True) -> str:
        """Section names are letters, digits, `_`, `.` and `-`, as image names are."""
        option = "[collapsed=true]" if folded else ""
        return f"{_CLEAR}section_start:{int(self.now() - ago)}:krunner_{name}{option}\r{_CLEAR}{title}"

    def end(self, name: str) -> str:
        """GitLab shows the time that passed since `begin`."""
        return f"{_CLEAR}section_end:{int(self.now())}:krunner_{name}\r{_CLEAR}"

    def note(self, note: Note) -> str:  # noqa: ARG002  # the protocol's name
        """GitLab shows notes from the JUnit report, not from the log."""
        return ""


@dataclass(frozen=True, slots=True)
class GitHubMarkup:
    """`workspace` is the checkout: files are named from there, or GitHub does not know them."""

    workspace: str = ""
    folds = True

    def begin(self, name: str, title: str, *, ago: float = 0.0, folded: bool = True) -> str:  # noqa: ARG002
        """A group is known by its title, and folded."""
        return f"::group::{_escaped(title)}"

    def end(self, name: str) -> str:  # noqa: ARG002  # groups do not nest
        """The group is over."""
        return "::endgroup::"

    def note(self, note: Note) -> str:
        """An annotation of the run, and of a changed file in the pull request."""
        fields = {"title": note.image}
        if note.file:
            column = {"col": str(note.column)} if note.column else {}
            fields = {"file": self._path(note.file), "line": str(note.line or 1), **column, **fields}
        shown = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in fields.items())
        return f"::{note.level} {shown}::{_escaped(note.message)}"

    def _path(self, file: str) -> str:
        absolute = os.path.abspath(file)
        below = self.workspace.rstrip("/") + "/"
        return absolute.removeprefix(below) if self.workspace and absolute.startswith(below) else file


def _escaped(text: str, more: str = "") -> str:
    """As workflow commands want it: percent, CR and LF as %XX, in properties also colon and comma."""
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else visible(char) for char in text)


def markup_for(environment: Mapping[str, str]) -> Markup:
    """The markup of the CI server that runs this process, by the variables that it sets."""
    if environment.get("GITLAB_CI"):
        return GitLabMarkup()
    if environment.get("GITHUB_ACTIONS"):
        return GitHubMarkup(environment.get("GITHUB_WORKSPACE", ""))
    return NoMarkup()
