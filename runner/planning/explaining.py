"""`krunner plan --explain`: which images of a list would be built and which the cache has, step by step, and why.

Each image is looked through as its build would be. Of an image that is wholly cached its dependents know the
files; one that would be built makes theirs unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from executor.dataclass import asdict, dataclass, replace
from executor.errors import Error
from executor.explanation import Explanation, StepExplanation
from runner.executor import Executor
from runner.planning.plan import PlannedImage, RunPlan, built_upon

Fate = Literal["cached", "built", "unknown"]
_NO_CACHE = "it has no layer cache"
_FIELDS_OF_VALUES = ("environment", "flags", "rules")
_SHOWN_KEY = 12
_FATES: Mapping[Fate, str] = {"cached": "is in the cache", "built": "would be built", "unknown": "would fail"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """A step as the executor explains it, and what of its key `changed` since the earlier run, in words."""

    step: StepExplanation
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    """What would become of an image. `because` says it in words; `same_inputs` compares with the earlier run."""

    name: str
    fate: Fate
    because: str
    same_inputs: bool | None = None
    places: tuple[str, ...] = ()
    steps: tuple[StepReport, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values: a step has its own fields, and `changed`."""
        steps = [{**asdict(report.step), "changed": list(report.changed)} for report in self.steps]
        return {**asdict(self), "steps": steps}


class Explaining:
    """Looks through the images of a plan. `inputs` and `keys` are what an earlier run recorded, if it did."""

    def __init__(
        self,
        plan: RunPlan,
        executor: Executor,
        inputs: Mapping[str, str],
        keys: Callable[[str], Mapping[str, Any]],
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._inputs = inputs
        self._keys = keys
        self._digests: dict[str, str] = {}
        self._built: set[str] = set()

    def reports(self) -> list[ImageReport]:
        """A report for each image, in order."""
        return [self._report(planned) for planned in self._plan.images]

    def _report(self, planned: PlannedImage) -> ImageReport:
        name = planned.image.name
        try:
            upon = built_upon(self._plan, planned, self._executor.base_images)
            anew = next((need for need in planned.needs if need in upon & self._built), "")
            if anew:
                self._built.add(name)
                return ImageReport(name=name, fate="built", because=f"it builds upon {anew}, which is built")
            found = self._executor.explain(replace(planned.image.build, local_images=dict(self._digests)))
        except Error as error:
            self._built.add(name)
            return ImageReport(name=name, fate="unknown", because=error.message)
        report = _report(name, found, self._inputs.get(name, ""), self._keys(name))
        if not found.digest:
            self._built.add(name)
        elif not (report.same_inputs and planned.image.keep):  # else the registry has it, by the digest of then
            self._digests.update(dict.fromkeys(planned.image.references, found.digest))
        return report


def _report(name: str, found: Explanation, inputs: str, keys: Mapping[str, Any]) -> ImageReport:
    cached = sum(step.state == "cached" for step in found.steps)
    count = f"{cached} of {len(found.steps)} {'step' if len(found.steps) == 1 else 'steps'} cached"
    return ImageReport(
        name=name,
        fate="cached" if found.digest else "built",
        because=count if found.places else _NO_CACHE,
        same_inputs=inputs == found.inputs if inputs and found.inputs else None,
        places=found.places,
        steps=tuple(StepReport(step=step, changed=tuple(_changed(step, found, keys))) for step in found.steps),
        warnings=found.warnings,
    )


def _changed(step: StepExplanation, found: Explanation, keys: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it was in the step's key. A step that only follows one that has changed says nothing."""
    if not step.key or not keys or step.key in keys:
        return
    before = _counterpart(step, found, keys)
    if before is None:
        yield "it is new"
        return
    for field in sorted(step.document.keys() | before.keys()):
        old, new = before.get(field), step.document.get(field)
        if old != new and field != "parent":
            yield _words(field, old, new)
    if _is_first(step, found) and before.get("parent") != step.document.get("parent"):
        yield "the base or how layers are written"


def _counterpart(step: StepExplanation, found: Explanation, keys: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The document that the step at the same place of its stage had."""
    place = _place(step, [(s.stage, s.platform, s.key) for s in found.steps])
    same = [
        entry["document"]
        for entry in keys.values()
        if (entry["stage"], entry["platform"]) == (step.stage, step.platform)
    ]
    document = same[place] if place < len(same) else None
    return document if document and document.get("step") == step.document.get("step") else None


def _place(step: StepExplanation, steps: list[tuple[int, str, str]]) -> int:
    mine = [key for stage, platform, key in steps if (stage, platform) == (step.stage, step.platform)]
    return mine.index(step.key)


def _is_first(step: StepExplanation, found: Explanation) -> bool:
    return _place(step, [(s.stage, s.platform, s.key) for s in found.steps]) == 0


def _words(field: str, old: Any, new: Any) -> str:
    """A field of a key that differs, in words: of variables their names, of files which of the sources."""
    if field in _FIELDS_OF_VALUES and isinstance(old, dict) and isinstance(new, dict):
        names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        return f"{field}: {', '.join(names)}"
    if field == "inputs" and isinstance(old, list) and isinstance(new, list):
        return "what is copied" if len(old) == len(new) else "the number of files that are copied"
    return {"argv": "the command", "scripts": "a here-document"}.get(field, field)


def described(reports: list[ImageReport]) -> str:
    """The reports as text, without a last newline."""
    return "\n".join(line for report in reports for line in _lines(report))


def _lines(report: ImageReport) -> Iterator[str]:
    same = {True: "; as in the last run", False: "; other inputs than in the last run", None: ""}[
        report.same_inputs
    ]
    yield f"{report.name} {_FATES[report.fate]}: {report.because}{same}"
    for warning in report.warnings:
        yield f"  warning: {warning}"
    if report.places:
        yield f"  cache in {', '.join(report.places)}"
    stage = None
    for item in report.steps:
        step = item.step
        if (step.stage, step.platform) != stage:
            stage = step.stage, step.platform
            yield f"  stage {step.stage} for {step.platform}"
        yield f"    {step.state:<10}  {step.key[:_SHOWN_KEY]:<{_SHOWN_KEY}}  {step.instruction}".rstrip()
        if why := "; ".join(_reasons(item, several_places=len(report.places) > 1)):
            yield f"{'':30}{why}"


def _reasons(item: StepReport, *, several_places: bool) -> Iterator[str]:
    if item.changed:
        yield f"changed: {', '.join(item.changed)}"
    if item.step.place and several_places:
        yield f"in {item.step.place}"
    if item.step.reason:
        yield item.step.reason


def as_json(plan: RunPlan, reports: list[ImageReport] | None) -> str:
    """The plan for programs: `schemas/plan.schema.json` describes it. `reports` as far as they were asked for."""
    by_name = {report.name: report.to_json() for report in reports or ()}
    images = [
        {
            "name": planned.image.name,
            "needs": list(planned.needs),
            "destinations": list(planned.image.build.output.destinations),
            "explanation": by_name.get(planned.image.name),
        }
        for planned in plan.images
    ]
    return json.dumps({"version": 1, "push": plan.push, "images": images}, indent=2)
