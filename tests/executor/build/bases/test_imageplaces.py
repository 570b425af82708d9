"""Images that cannot be had, with the line that asks for them."""

from typing import Any, cast

import pytest

from executor.build.bases.bases import BaseImages
from executor.build.bases.imageplaces import resolve_images
from executor.build.plan.planner import PlanRequest, plan_build
from executor.dockerfile.parser import parse
from executor.errors import NotFoundError
from executor.image.platform import Platform


class Bases:
    """Has the images whose names begin with `good`."""

    def get(self, reference: str, _platform: Platform) -> Any:
        if "/good" not in reference:
            raise NotFoundError(f"there is no {reference}", status=404, hint="is it pushed?")


def failure(text: str) -> NotFoundError:
    plan = plan_build(parse(text), PlanRequest(platforms=(Platform.host(),)))
    with pytest.raises(NotFoundError) as caught:
        resolve_images(plan, cast("BaseImages", Bases()))
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("FROM bad\n", 1, "is it pushed?"),
        ("FROM good AS build\nRUN x\nFROM good\nCOPY --from=biuld a /\n", 4, "did you mean the stage build?"),
        ("FROM good AS build\nFROM biuld\n", 2, "did you mean the stage build?"),
        ("FROM good AS build\nFROM good\nRUN --mount=dst=/ \\\n --mount=from=biuld x", 4, "did you mean the stage build?"),  # noqa: E501
        ("FROM good AS build\nFROM good\nCOPY --from=host/biuld a /\n", 3, "is it pushed?"),
        ("FROM good AS build\nFROM good\nCOPY --from=debian a /\n", 3, "is it pushed?"),
    ],
)  # fmt: skip
def test_where_an_image_is_asked_for_and_what_may_be_meant(text: str, line: int, hint: str) -> None:
    error = failure(text)
    assert error.location
    assert (error.location.line, error.hint) == (line, hint)


def test_images_that_are_there() -> None:
    plan = plan_build(parse("FROM good\nCOPY --from=good:1 a /\n"), PlanRequest(platforms=(Platform.host(),)))
    resolve_images(plan, cast("BaseImages", Bases()))
