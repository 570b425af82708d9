"""Images that cannot be had, with the line that asks for them."""

from typing import Any, cast

import pytest

from executor.build.bases.bases import BaseImages
from executor.build.bases.imageplaces import resolve_images
from executor.build.plan.planner import PlanRequest, plan_build
from executor.dockerfile.parser import parse
from executor.errors import AuthError, Error, NotFoundError, RegistryError
from executor.image.platform import Platform


class Bases:
    """Has the images whose names begin with `good`; of others `refusal` is said."""

    def __init__(self, refusal: Error | None = None) -> None:
        self.refusal = refusal

    def get(self, reference: str, _platform: Platform) -> Any:
        if "/good" not in reference:
            raise self.refusal or NotFoundError(f"there is no {reference}", status=404, hint="is it pushed?")


def failure(text: str, refusal: Error | None = None) -> Error:
    plan = plan_build(parse(text, "Dockerfile"), PlanRequest(platforms=(Platform.host(),)))
    with pytest.raises(Error) as caught:
        resolve_images(plan, cast("BaseImages", Bases(refusal)))
    return caught.value


MEANT = 'did you mean the stage "build"?'


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("FROM bad\n", "1:6", "is it pushed?"),
        ("FROM good AS build\nRUN x\nFROM good\nCOPY --from=biuld a /\n", "4:8", MEANT),
        ("FROM good AS build\nFROM biuld\n", "2:6", MEANT),
        ("FROM good AS build\nFROM good\nRUN --mount=dst=/ \\\n --mount=from=biuld x", "4:10", MEANT),
        ("FROM good AS build\nFROM good\nCOPY --from=host/biuld a /\n", "3:8", "is it pushed?"),
        ("FROM good AS build\nFROM good\nCOPY --from=debian a /\n", "3:8", "is it pushed?"),
    ],
)
def test_where_an_image_is_asked_for_and_what_may_be_meant(text: str, place: str, hint: str) -> None:
    error = failure(text)
    assert (str(error.location), error.hint) == (f"Dockerfile:{place}", hint)


def test_the_word_that_names_the_image_is_marked() -> None:
    error = failure("FROM good AS build\nFROM good\nCOPY --from=biuld a /\n")
    assert error.excerpt.splitlines() == ["  3 | COPY --from=biuld a /", "    |        ^^^^^^^^^^"]


@pytest.mark.parametrize(
    "refusal",
    [
        AuthError("401", status=401),
        AuthError("403", status=403),
        RegistryError("429", status=429, hint="log in"),
        RegistryError("no answer"),
    ],
)
def test_the_stage_meant_is_told_whatever_the_registry_says(refusal: RegistryError) -> None:
    error = failure("FROM good AS build\nFROM good\nCOPY --from=biuld a /\n", refusal)
    assert error is refusal
    assert error.hint == MEANT


def test_images_that_are_there() -> None:
    plan = plan_build(parse("FROM good\nCOPY --from=good:1 a /\n"), PlanRequest(platforms=(Platform.host(),)))
    resolve_images(plan, cast("BaseImages", Bases()))
