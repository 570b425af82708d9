"""The times that images record."""

from __future__ import annotations

import pytest

from executor.build.state.clock import Clock, dated, now
from executor.image.config import History

BASE, FIRST, SECOND = "2010-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def history(*times: str) -> tuple[History, ...]:
    return tuple(History(created=moment, empty_layer=not moment) for moment in times)


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ((BASE, BASE), (BASE, BASE)),
        ((BASE, "", "", FIRST, "", SECOND, ""), (BASE, FIRST, FIRST, FIRST, FIRST, SECOND, SECOND)),
        ((BASE, FIRST, "", SECOND), (BASE, FIRST, SECOND, SECOND)),
        ((BASE, "", ""), (BASE, BASE, BASE)),
        (("", "", FIRST), (FIRST, FIRST, FIRST)),
        (("", ""), ("", "")),
        ((), ()),
    ],
)
def test_what_has_no_time_has_that_of_a_layer(given: tuple[str, ...], filled: tuple[str, ...]) -> None:
    assert tuple(entry.created for entry in dated(history(*given))) == filled
    assert [entry.empty_layer for entry in dated(history(*given))] == [not moment for moment in given]


def test_an_image_is_as_old_as_its_last_layer() -> None:
    assert Clock().created(history(BASE, FIRST)) == FIRST


@pytest.mark.parametrize("given", [(), (BASE, "")])
def test_an_image_that_nothing_dates_is_made_now(given: tuple[str, ...]) -> None:
    before = Clock().text(now())
    assert before <= Clock().created(history(*given)) <= Clock().text(now())


def test_with_an_epoch_everything_new_has_it() -> None:
    clock = Clock(1_000_000_000)
    assert clock.text(None) == clock.text(5) == clock.created(history(BASE)) == "2001-09-09T01:46:40Z"
