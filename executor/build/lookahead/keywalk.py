"""All keys of a build before its first step: every stage is walked through without carrying anything out.

Instructions that change only the configuration take effect, so that the next step's document is what it will be.
Where something cannot be known (a file that is not there, a server that does not answer), the stage has no keys
from there on, nor have the stages that build on it; the build itself will say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from executor.build.bases.bases import BaseImages
from executor.build.copying.copy import gives_nothing_away
from executor.build.plan.buildargs import host_name, latest_time
from executor.build.plan.buildplan import Base, BuildPlan, ImageBase, StageBase, StagePlan
from executor.build.stages.cachedsteps import KeyedStep, StageKeys
from executor.build.stages.stage import Build
from executor.build.stages.starting import start_of
from executor.build.stages.stepkeys import FileStep, Inputs, no_key, step_key
from executor.build.state.stagestate import StageState
from executor.build.steps.dispatch import execute
from executor.cache.key import CacheKey, LayerRules, base_key
from executor.dataclass import dataclass, field
from executor.dockerfile.instructions import Copy, Mount
from executor.errors import Error, InternalError
from executor.image.platform import Platform
from executor.rootfs.base import HOST_NAME, RootFs
from executor.spec import BuildSpec


@dataclass(slots=True)
class _DryStage:
    """A stage that is only walked through; a `Stage`."""

    plan: StagePlan
    build: Build
    state: StageState
    key: CacheKey
    inputs: Inputs
    steps: list[KeyedStep] = field(default_factory=list)

    @property
    def root(self) -> RootFs:
        raise InternalError("a walk for keys has no root filesystem")

    def change(self, instruction: FileStep, text: str, work: Callable[[], None]) -> None:  # noqa: ARG002 - not done
        self.key = step_key(self.key, instruction, self.state, self.inputs)
        self.steps.append(KeyedStep(step=instruction, key=self.key))

    def note(self, created_by: str) -> None:
        pass


class KeyWalk:
    """Walks the stages of a plan in order; `keys` fills up, by number of stage.

    A stage that only an ONBUILD trigger names is in no plan: `stages_for` gives it, with those it needs.
    """

    def __init__(
        self,
        build: Build,
        plan: BuildPlan,
        bases: BaseImages,
        stages_for: Callable[[int], Iterable[StagePlan]],
    ) -> None:
        self.keys: dict[int, StageKeys] = {}
        self._build = build
        self._plan = plan
        self._bases = bases
        self._stages_for = stages_for
        self._states: dict[int, StageState] = {}
        self._rules = layer_rules(build.spec)

    def visit(self, planned: StagePlan) -> StageKeys | None:
        """The keys of a stage whose sources were visited; None when it cannot even be begun."""
        number = planned.number
        try:
            start = start_of(planned, self._bases, self._state)
            key = self._start_key(planned, start.state)
        except (Error, OSError):
            return None
        stage = _DryStage(planned, self._build, start.state, key, self._inputs(planned))
        complete = True
        try:
            for instruction in start.instructions:
                execute(stage, instruction)
        except (Error, OSError):
            complete = False
        final = stage.key if complete else None
        self._states[number] = stage.state
        self.keys[number] = StageKeys(
            steps=tuple(stage.steps),
            start=key.hex,
            final=final,
            whole=self._whole(final) if stage.steps else None,
            goes_on=any(StageBase(number) == other.base for other in self._plan.stages),
            platform=planned.platform,
        )
        return self.keys[number]

    def _start_key(self, planned: StagePlan, state: StageState) -> CacheKey:
        if isinstance(planned.base, StageBase):
            return self._final(planned.base.number)
        return base_key(planned.platform, state.image.diff_ids, self._rules)

    def _state(self, number: int) -> StageState:
        if number not in self._states:
            raise no_key(f"stage {number}")
        return self._states[number]

    def _inputs(self, planned: StagePlan) -> Inputs:
        def source(reader: Copy | Mount) -> CacheKey:
            return self._source_key(self._plan.source_of(reader, planned), planned.target)

        build = self._build
        return Inputs(
            tree=lambda reader: build.tree_of(reader, planned),
            source=source,
            scratch=lambda: build.scratch("key"),
            sink=build.sink,
            host_name=name if (name := host_name(build.spec.build_args)) != HOST_NAME else "",
        )

    def _source_key(self, source: Base, platform: Platform) -> CacheKey:
        if isinstance(source, StageBase):
            return self._final(source.number)
        layers = (
            self._bases.get(source.reference, platform).config.diff_ids if isinstance(source, ImageBase) else ()
        )
        return base_key(platform, layers, self._rules)

    def _final(self, number: int) -> CacheKey:
        if self._plan.stage(number) is None:
            for planned in self._stages_for(number):
                if planned.number not in self._states:
                    self.visit(planned)
        known = self.keys.get(number)
        if known is None or known.final is None:
            raise no_key(f"stage {number}")
        return known.final

    def _whole(self, final: CacheKey | None) -> CacheKey | None:
        """The key of a stage's only layer."""
        return CacheKey.of(final, "single snapshot") if final and self._rules.single_snapshot else None


def layer_rules(spec: BuildSpec) -> LayerRules:
    """How the layers of a build are written, where that changes what is in them."""
    return LayerRules(
        squashed=gives_nothing_away(),
        reproducible=spec.reproducible,
        epoch=latest_time(spec),
        snapshot_mode=spec.rootfs.snapshot_mode,
        single_snapshot=spec.rootfs.single_snapshot,
        ignore_paths=spec.rootfs.ignore_paths,
    )
