"""The table of a workload: medians, what they lie between, and our time as a part of each tool's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from integration.bench.measure import Measured

OURS = ("krunner", "in-place")
_WIDTH = 22


def table(title: str, results: Mapping[str, Sequence[Measured]]) -> Iterator[str]:
    """A line of headings, and one for each tool of `results`, which has the runs of each, round by round."""
    headings = ("wall s", "cpu s", "peak MB", *(f"{ours} is" for ours in OURS))
    yield f"{title:16}" + "".join(f"{heading:<{_WIDTH}}" for heading in headings).rstrip()
    for name, runs in results.items():
        cells = [
            _cell([run.wall for run in runs], _hundredths),
            _cell([run.cpu for run in runs], _hundredths),
            _cell([run.peak / 1e6 for run in runs], _whole),
            *(_ratio(results.get(ours, ()), runs) for ours in OURS),
        ]
        yield f"  {name:14}" + "".join(f"{cell:<{_WIDTH}}" for cell in cells).rstrip()


def _ratio(ours: Sequence[Measured], theirs: Sequence[Measured]) -> str:
    """Median by median; beside it what the ratios of single rounds lie between."""
    if not ours or ours is theirs:
        return "1" if ours else ""
    whole = statistics.median(run.wall for run in ours) / statistics.median(run.wall for run in theirs)
    rounds = [one.wall / other.wall for one, other in zip(ours, theirs, strict=False)]
    return _hundredths(whole) + _spread(rounds, _hundredths)


def _cell(values: Sequence[float], written: Callable[[float], str]) -> str:
    return written(statistics.median(values)) + _spread(values, written)


def _spread(values: Sequence[float], written: Callable[[float], str]) -> str:
    """Nothing of one round."""
    return f" ({written(min(values))}..{written(max(values))})" if len(values) > 1 else ""


def _hundredths(value: float) -> str:
    return f"{value:.2f}" if value < 100 else _whole(value)


def _whole(value: float) -> str:
    return f"{value:.0f}"
