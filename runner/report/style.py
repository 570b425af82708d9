"""When to use colour, and how sizes and times are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_UNITS = ("B", "kB", "MB", "GB", "TB")
_COLOUR_CI = ("GITHUB_ACTIONS", "GITLAB_CI")


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """NO_COLOR, then FORCE_COLOR, then CI servers that render colour, then whether `stream` is a terminal."""
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if any(environment.get(name) for name in _COLOUR_CI):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def paint(text: str, colour: str, *, enabled: bool) -> str:
    """The text in a colour of the terminal's own palette."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if enabled and text else text


def size(count: int) -> str:
    """Bytes in decimal units, as docker writes them: `28.3 MB`."""
    value = float(count)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def counted(number: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """`0.4 s`, `59.9 s`, `2 min 05 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02} s"
