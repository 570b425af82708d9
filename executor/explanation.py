"""What a build would do with each step, as frozen values: `build.survey.explain` finds it. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from executor.dataclass import asdict, dataclass

StepState = Literal["cached", "runs", "not cached", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExplanation:
    """A step that changes files. `document` is what its `key` digests, both empty when it has none.

    `state`: the cache has its result, in `place`; it is carried out; so it is each time, because the cache is not
    to have steps of its kind; or nobody can know. `reason` says more, or ''.
    """

    stage: int
    platform: str
    instruction: str
    state: StepState
    key: str = ""
    document: Mapping[str, Any]
    place: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A build before it is done. `inputs` digests all that it would be made of, '' when that cannot be known.

    `places` are where the layer cache looks, none without a cache. `digest` is that of an image in the store that
    has the files which the build would give, known when everything is cached. `warnings` came up on the way.
    """

    inputs: str
    places: tuple[str, ...]
    steps: tuple[StepExplanation, ...]
    digest: str = ""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Explanation:
        """The inverse of `to_json`."""
        steps = tuple(StepExplanation(**step) for step in document["steps"])
        lists = {name: tuple(document[name]) for name in ("places", "warnings")}
        return cls(**{**document, **lists, "steps": steps})
