"""What a build would find in the layer cache, and what it would have to do: the keys, the look-ups, and no more.

Registries and caches are read, the store gets what a look-up brings along. Nothing is unpacked, run or pushed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn

from executor.build.build import opened
from executor.build.engine import Engine
from executor.build.lookahead.buildcache import BuildCache, cache_repositories
from executor.build.lookahead.inputs import shown_document
from executor.build.lookahead.keywalk import KeyWalk
from executor.build.plan.buildplan import StageBase, StagePlan, on_one_line
from executor.build.stages.cachedsteps import CachedSteps, KeyedStep
from executor.build.stages.stepkeys import FileStep
from executor.build.stopping import StopFlag
from executor.dataclass import dataclass, replace
from executor.errors import Error, InternalError, machine_faults_explained
from executor.events import CacheLookedUp, Event, InputsFound, Warned
from executor.explanation import Explanation, StepExplanation, StepState
from executor.rootfs.kernel.namespaces import enter_mount_namespace
from executor.spec import BuildSpec
from executor.store import Store, default_home

_NO_KEY = "something that it reads is not there, or a step before it has no key"
_NEVER = "the cache is not to have steps of this kind"
_OTHERS = "the cache has it, but made upon other results of the steps before"


def explain(spec: BuildSpec) -> Explanation:
    """What the build of `spec` would do. Raises Error when it would fail before its first step.

    It is found out in a child: whether a build may give files away is part of its keys, and depends on namespaces.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _tell(writing, spec)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise InternalError("the process that looks into the cache was killed")
    document = json.loads(answer)
    if "error" in document:
        raise Error(document["error"], hint=document["hint"])
    return Explanation.from_json(document)


def _tell(writing: int, spec: BuildSpec) -> NoReturn:
    document: dict[str, Any] = {}
    try:
        with machine_faults_explained():
            document = _explain(spec).to_json()
    except Error as error:
        document = {"error": error.message, "hint": error.hint}
    except Exception as error:  # noqa: BLE001  # the border of the process
        document = {"error": f"{type(error).__name__}: {error}", "hint": "please report it"}
    finally:
        with contextlib.suppress(OSError), os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(document).encode() if document else b"")
        os._exit(0)


def _explain(spec: BuildSpec) -> Explanation:
    home = spec.rootfs.home or default_home()
    enter_mount_namespace()
    heard = _Heard()
    wanted = replace(spec, tell_inputs=True, cache=replace(spec.cache, push=False))
    with Store.open(home) as store, opened(wanted, heard, store, StopFlag()) as engine:
        return _explained(engine, heard, spec)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What would become of a step; see StepExplanation."""

    state: StepState
    place: str = ""
    reason: str = ""


class _Heard:
    """A sink that keeps what is said of the keys. Its events come from several threads."""

    def __init__(self) -> None:
        self.inputs = ""
        self.warnings: list[str] = []
        self.looked_up: list[CacheLookedUp] = []

    def __call__(self, event: Event) -> None:
        match event:
            case InputsFound():
                self.inputs = event.inputs
            case Warned():
                self.warnings.append(event.message)
            case CacheLookedUp():
                self.looked_up.append(event)
            case _:
                pass


def _explained(engine: Engine, heard: _Heard, spec: BuildSpec) -> Explanation:
    walk, cache = engine.prepare(), engine.cache
    steps: tuple[StepExplanation, ...] = ()
    if walk and cache:
        steps = tuple(_LookedThrough(engine, cache, walk, heard).steps())
    elif walk:
        steps = tuple(_uncached(engine, walk))
    digest = engine.image_of_hits() if cache and all(step.state == "cached" for step in steps) else ""
    return Explanation(
        inputs=heard.inputs,
        places=(*cache_repositories(spec), *spec.cache.sources) if cache else (),
        steps=steps,
        digest=digest,
        warnings=tuple(heard.warnings),
    )


def _uncached(engine: Engine, walk: KeyWalk) -> Iterator[StepExplanation]:
    for planned in engine.plan.stages:
        for step in walk.keys[planned.number].steps if planned.number in walk.keys else ():
            yield _explanation(planned, step, _Fate("runs"))


class _LookedThrough:
    """The steps of all stages, looked up one after the other as a build would."""

    def __init__(self, engine: Engine, cache: BuildCache, walk: KeyWalk, heard: _Heard) -> None:
        self._engine = engine
        self._cache = cache
        self._walk = walk
        self._heard = heard
        self._stages: dict[int, CachedSteps] = {}

    def steps(self) -> Iterator[StepExplanation]:
        """Each step with what would become of it."""
        for planned in self._engine.plan.stages:
            base = self._stages.get(planned.base.number) if isinstance(planned.base, StageBase) else None
            stage = self._cache.steps(planned.number, base, partial(self._upon, planned))
            if stage is None:
                continue
            self._stages[planned.number] = stage
            for step in self._walk.keys[planned.number].steps:
                yield _explanation(planned, step, self._look_up(stage, step))

    def _look_up(self, stage: CachedSteps, step: KeyedStep) -> _Fate:
        before = len(self._heard.looked_up)
        entry = stage.look_up(step.step, lambda: None)
        told = self._heard.looked_up[before:]
        if entry:
            return _Fate("cached", place=told[-1].place if told else "")
        stage.skip(step.step)
        if step.key is None:
            return _Fate("unknown", reason=_NO_KEY)
        if not (told or stage.is_whole):
            return _Fate("not cached", reason=_NEVER)
        return _Fate("runs", reason=_OTHERS if self._cache.has(step.key) else "")

    def _upon(self, planned: StagePlan, step: FileStep) -> str:
        sources = self._engine.plan.sources_of(step, planned)
        known = [self._stages.get(source.number) for source in sources if isinstance(source, StageBase)]
        return "".join(stage.upon.text for stage in known if stage)


def _explanation(planned: StagePlan, step: KeyedStep, fate: _Fate) -> StepExplanation:
    return StepExplanation(
        stage=planned.number,
        platform=str(planned.platform),
        instruction=on_one_line(step.step.source),
        key=step.key.hex if step.key else "",
        document=shown_document(step.key) if step.key else {},
        state=fate.state,
        place=fate.place,
        reason=fate.reason,
    )
