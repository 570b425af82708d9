"""The table at the end of a run: image, status, time, what the cache had, size, digest or what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from runner.outcome import Outcome, RunReport
from runner.report.style import duration, paint, size

_HEAD = ("IMAGE", "STATUS", "TIME", "CACHE", "SIZE", "DIGEST")
_NARROWEST = 20  # of the last column: `sha256:`, twelve digits and `…`
_WIDEST = 100  # of the last column: the log has all of a message
_ENDING = 24  # of a message that is cut: `… ended with status 100`
_COLOURS = {"pushed": "green", "built": "green", "kept": "green", "skipped": "yellow", "stopped": "yellow"}


def status_word(outcome: Outcome) -> str:
    """The status as shown: a built image that a registry now has is `pushed`, or `kept` from an earlier run."""
    if outcome.kept:
        return "kept"
    return "pushed" if outcome.status == "built" and outcome.pushed else outcome.status


def table(report: RunReport, cached: Mapping[str, str], *, colour: bool = False, width: int = 0) -> str:
    """The table and a line that sums it up, without a last newline.

    `cached` says for images what the cache had of the steps that it was asked for, as in `3/7`. Lines are at most
    `width` columns wide, if the last column can give way; 0 for one that is not known.
    """
    if not report.outcomes:
        return "nothing to build"
    rows = [_HEAD, *(_row(outcome, cached.get(outcome.name, "")) for outcome in report.outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    room = width - sum(widths[:-1]) - 2 * len(widths[:-1]) if width else _WIDEST
    widths[-1] = min(widths[-1], _WIDEST, max(room, _NARROWEST))
    lines = [_line(row, widths, colour and position > 0) for position, row in enumerate(rows)]
    return "\n".join([*lines, "", _summary(report)])


def _row(outcome: Outcome, cached: str) -> tuple[str, ...]:
    built = outcome.is_usable
    return (
        outcome.name,
        status_word(outcome),
        duration(outcome.seconds) if outcome.status != "skipped" and not outcome.kept else "",
        cached,
        size(outcome.size) if built else "",
        outcome.digest if built else outcome.message.split("\n", 1)[0],
    )


def _line(row: tuple[str, ...], widths: list[int], colour: bool) -> str:
    cells = [_fitted(cell, width) for cell, width in zip(row, widths, strict=True)]
    cells[1] = paint(cells[1], _COLOURS.get(row[1], "red"), enabled=colour)
    return "  ".join(cells).rstrip()


def _fitted(text: str, width: int) -> str:
    """The text in as many columns: a digest loses its end, a message its middle if enough of it stays."""
    if len(text) <= width:
        return text.ljust(width)
    ending = text[-_ENDING:].rpartition("… ")[2].lstrip() if " " in text and width > 2 * _ENDING else ""
    return f"{text[: width - 2 - len(ending)]}… {ending}" if ending else f"{text[: width - 1]}…"


def _summary(report: RunReport) -> str:
    count = len(report.outcomes)
    states = Counter(status_word(outcome) for outcome in report.outcomes)
    told = ", ".join(f"{number} {state}" for state, number in states.items())
    return f"{count} {'image' if count == 1 else 'images'} in {duration(report.seconds)}: {told}"
