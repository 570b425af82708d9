"""One build under way: resolve bases, build the stages that the target needs, assemble the image, hand it out.

`build.py` opens what it needs and closes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from executor.build.bases.bases import BaseImages
from executor.build.bases.imageplaces import resolve_images
from executor.build.bases.layersource import LayerSource
from executor.build.copying.copysource import SourceTree
from executor.build.layers.layerwriter import LayerWriter, OnLarge, nobody
from executor.build.layers.stagelayers import StageLayers
from executor.build.lookahead.checking import base_facts, warn_of_checks
from executor.build.lookahead.rehearsal import rehearse
from executor.build.output.images import (
    BuiltImage,
    assemble,
    check_bases,
    check_outputs,
    combine,
    store_image,
)
from executor.build.output.outputs import Outputs
from executor.build.plan.buildargs import latest_time
from executor.build.plan.buildplan import Base, ContextBase, ImageBase, StageBase, StagePlan, source_name
from executor.build.plan.contexttrees import ContextTrees
from executor.build.plan.frontend import Frontend
from executor.build.plan.namedcontexts import NamedContexts
from executor.build.plan.planner import PlanRequest, plan_build, plan_stage
from executor.build.stages.roots import Roots
from executor.build.stages.sidebyside import GiveUp, is_chain, run_side_by_side
from executor.build.stages.stage import Stage, StageRun
from executor.build.stages.starting import start_of, triggered_for_several
from executor.build.state.clock import Clock
from executor.build.steps.dispatch import execute
from executor.build.supplies.mountsupplies import ContextCopies, MountSupplies
from executor.build.supplies.secrets import Secrets
from executor.build.supplies.sshagent import Agents
from executor.context.base import ContextTree
from executor.dataclass import dataclass, replace
from executor.dockerfile.instructions import Add, Copy, Mount, Onbuild, Run
from executor.errors import ImageError, PushError, RegistryError
from executor.events import Sink, StageStarted
from executor.image.annotations import parse_annotations
from executor.image.layer import Layer
from executor.image.platform import Platform
from executor.rootfs.base import RootFs
from executor.spec import BuildSpec, StepRecord
from executor.store import Store

if TYPE_CHECKING:  # a build without a layer cache does without these
    from executor.build.lookahead.buildcache import BuildCache
    from executor.build.lookahead.keywalk import KeyWalk
    from executor.build.stages.cachedsteps import CachedSteps
    from executor.build.stages.stepkeys import FileStep


@dataclass(frozen=True, slots=True)
class Resources:
    """What a build draws on and hands to; who opens it closes it."""

    store: Store
    bases: BaseImages
    layers: LayerSource
    outputs: Outputs
    cache: BuildCache | None


class Engine:
    """One build under way; see `Build` in stage.py for what the stages ask of it."""

    def __init__(self, spec: BuildSpec, sink: Sink, frontend: Frontend, resources: Resources) -> None:
        epoch = latest_time(spec)
        self.spec = spec
        self.sink = sink
        self.clock = Clock(epoch)
        self.writer = LayerWriter(resources.store.blobs, spec.layers, reproducible=spec.reproducible, epoch=epoch)
        self.records: list[StepRecord] = []
        self.mount_supplies = MountSupplies(
            secrets=Secrets(spec.secrets),
            agents=Agents(spec.ssh),
            caches=resources.store.caches,
            contexts=ContextCopies(resources.store.scratch),
        )
        self._frontend = frontend
        self._resources = resources
        self._give_up: GiveUp | None = None
        self._roots = Roots(resources.store, resources.bases, resources.layers, spec, sink)
        self._runs: list[StageRun] = []
        self._built: dict[int, StageRun] = {}
        """The stages that are done, by number."""
        self._platforms = tuple(dict.fromkeys(map(Platform.parse, spec.platforms)))
        self._annotations = parse_annotations(spec.annotations)
        platforms = self._platforms or (Platform.host(),)
        check_outputs(spec, self._annotations, platforms)
        contexts = NamedContexts.of(spec.build_contexts)
        self._trees = ContextTrees(contexts.values, frontend.excludes, lambda: self.scratch("context"), sink)
        self._request = PlanRequest(
            target=spec.target, build_args=spec.build_args, platforms=platforms, contexts=contexts
        )
        self.plan = plan_build(frontend.dockerfile, self._request)
        self.escape = self.plan.escape

    @property
    def context(self) -> ContextTree:
        """The build context, ignored files hidden."""
        return self._frontend.context

    @property
    def give_up(self) -> int | None:
        """A descriptor that can be read once commands have to end; None while a signal alone ends them."""
        return self._give_up.descriptor if self._give_up else None

    @property
    def driver_name(self) -> str:
        """The driver in use, '' when the build needed none."""
        return self._roots.driver_name

    def run(self) -> tuple[BuiltImage, tuple[str, ...]]:
        """Build the image, push it and write it where it was asked for; also the names that registries now hold.

        When a cached layer proves damaged, all begins again without it: a cache must not fail a build.
        """
        permitted = self._resources.outputs.check_permissions()
        if self.cache is None:
            self._resources.bases.prefetch(self.plan.images())
            self._expect_commands()  # while registries answer
        self.prepare()
        while True:
            try:
                image = self._image(permitted.result)
                return image, self._resources.outputs.deliver(image)
            except (ImageError, RegistryError, PushError) as error:
                refused = error is permitted.exception()
                if refused or not (self._resources.cache and self._resources.cache.gives_up_layers(error)):
                    raise
                self._start_over()

    @property
    def cache(self) -> BuildCache | None:
        """The layer cache, if there is one."""
        return self._resources.cache

    def prepare(self) -> KeyWalk | None:
        """Resolve the bases, warn, find all keys and begin to look them up; None where nobody wants keys."""
        bases, cache = self._resources.bases, self._resources.cache
        bases.prefetch(self.plan.images())
        resolve_images(self.plan, bases)
        check_bases(self.plan, bases, self.spec)
        self._unshare_triggered()
        rehearse(self.plan, bases, self.spec.build_args, SourceTree.of_context(self.context))
        warn_of_checks(self._frontend, self.spec.build_args, self.sink, base_facts(self.plan, bases))
        if not (cache or self.spec.tell_inputs):
            return None
        from executor.build.lookahead.inputs import walked

        return walked(self, self.plan, bases, cache, self._stages_for)

    def image_of_hits(self) -> str:
        """The digest of the image in the store when the cache has every step: nothing is carried out."""
        return str(self._image(lambda: None).root.digest)

    def _unshare_triggered(self) -> None:
        """Plan anew when a stage that serves several platforms turns out to begin with ONBUILD triggers."""
        if unshared := triggered_for_several(self.plan, self._resources.bases):
            self.plan = plan_build(self._frontend.dockerfile, replace(self._request, unshared=unshared))

    def _image(self, await_permission: Callable[[], None]) -> BuiltImage:
        """Build every stage that the targets need, assemble an image of each, and an index of several.

        No step is carried out before it is known that the image may be pushed; bases are unpacked meanwhile.
        """
        self._expect_commands()
        with self._unpacking_bases(), self._resources.layers.wanted():
            await_permission()
            self._build_stages()
        store = self._resources.store
        images = [
            assemble(self._built[target.number].state, self.spec, platform, self._annotations, self.clock)
            for target, platform in zip(self.plan.targets, self._platforms or (None,), strict=True)
        ]
        for image in images:
            store_image(image, store, self.sink)
        return combine(images, self.spec, self._annotations, store, self.sink)

    def _build_stages(self) -> None:
        """Build every stage, side by side where possible. The records are in the plan's order all the same."""
        threads = self._threads()
        if threads == 1:
            for planned in self.plan.stages:
                self._stage(planned)
            return
        with GiveUp() as give_up:
            self._give_up = give_up
            try:
                run_side_by_side(self.plan.stages, self._stage, give_up, threads=threads)
            finally:
                self._give_up = None
        order = {planned.number: position for position, planned in enumerate(self.plan.stages)}
        self.records.sort(key=lambda record: order[record.stage])

    def _threads(self) -> int:
        """How many stages may be under way at once. A trigger may need a stage that nobody knows of yet."""
        stages, bases = self.plan.stages, self._resources.bases
        images = [
            bases.get(each.base.reference, each.platform) for each in stages if isinstance(each.base, ImageBase)
        ]
        triggers = any(image.config.config.on_build for image in images)
        declared = any(isinstance(step, Onbuild) for planned in stages for step in planned.stage.instructions)
        if is_chain(stages) or triggers or declared:
            return 1
        needs_roots = any(planned.needs_root and self._expects_root(planned) for planned in stages)
        if needs_roots and self._roots.driver.name == "in-place":
            return 1  # there is one / only
        from executor.build import cgroup  # not for a stage alone

        return max(2, cgroup.cores())

    def _start_over(self) -> None:
        """Forget every stage that was built."""
        self.close()
        self._resources.layers.want_again()
        self._built.clear()
        self.records.clear()

    def scratch(self, prefix: str) -> str:
        """A new empty directory in the store's working folder."""
        return self._resources.store.scratch(prefix)

    def tree_of(self, reader: Copy | Add | Mount, planned: StagePlan) -> ContextTree | None:
        """The context that `reader` takes its files from, None when that is a stage or an image."""
        if isinstance(reader, Add) or not source_name(reader):
            return self.context
        source = self.plan.source_of(reader, planned)
        return self._trees.tree(source.name) if isinstance(source, ContextBase) else None

    def source_root(self, reader: Copy | Mount, stage: Stage) -> RootFs:
        """The root filesystem that the `from` of a COPY or a mount means in `stage`."""
        source = self.plan.source_of(reader, stage.plan)
        if isinstance(source, StageBase):
            return self._needed(source.number).root
        return self._roots.of_image(source, stage.plan.target)

    def copied_tree(self, step: Copy, stage: Stage) -> str:
        """See `Build.copied_tree`: an image that nothing else needs is not unpacked as a whole."""
        source = self.plan.source_of(step, stage.plan)
        unpacked = any(planned.base == source and self._needs_base(planned) for planned in self.plan.stages)
        if isinstance(source, ImageBase) and not unpacked:
            picked = self._roots.picked(step, source, stage.plan.target)
            if picked:
                return picked
        return self.source_root(step, stage).path

    def source_layers(self, reader: Copy | Mount, stage: Stage) -> tuple[Layer, ...]:
        """The layers of that root filesystem."""
        source = self.plan.source_of(reader, stage.plan)
        if isinstance(source, StageBase):
            return self._needed(source.number).state.layers
        return self._roots.layers_of(source, stage.plan.target)

    def close(self) -> None:
        """End what is still being written, and close every root filesystem."""
        for run in self._runs:
            run.close()
        self._runs.clear()
        self._roots.close()

    def _expect_commands(self) -> None:
        """Have the driver begin what it does before the first command, if one will be carried out."""
        if any(
            self._expects_root(planned)
            for planned in self.plan.stages
            if any(isinstance(step, Run) for step in planned.stage.instructions)
        ):
            self._roots.driver.expect_commands()

    @contextmanager
    def _unpacking_bases(self) -> Iterator[None]:
        """Unpack the bases of later stages while the first ones run; an image that is not there fails first."""
        with ExitStack() as stack:
            for planned in self.plan.stages:
                if isinstance(planned.base, ImageBase):
                    self._resources.bases.get(planned.base.reference, planned.platform)
                    if self._needs_base(planned) and self._expects_root(planned):
                        stack.enter_context(self._roots.prefetch(planned.base, planned.platform))
            yield

    def _needs_base(self, planned: StagePlan) -> bool:
        """Whether the files of the stage's base are needed, unless the cache has it all."""
        return planned.needs_root and not self._is_linked(planned)

    def _is_linked(self, planned: StagePlan) -> bool:
        """Whether the stage can do without the files of its base; its one layer with --single-snapshot cannot."""
        return not self.spec.rootfs.single_snapshot and self.plan.is_linked(planned)

    def _expects_root(self, planned: StagePlan) -> bool:
        """Whether a step of the stage will be carried out, as far as the cache can tell before."""
        return self._resources.cache is None or self._resources.cache.expects_root(planned.number)

    def _stage(self, planned: StagePlan) -> StageRun:
        """Build a stage, all that it needs being there."""
        position = self.plan.stages.index(planned) + 1 if planned in self.plan.stages else 0
        self.sink(
            StageStarted(
                index=planned.number,
                name=planned.stage.name,
                base=str(planned.base),
                position=position,
                total=len(self.plan.stages),
                platform=str(planned.platform),
            )
        )
        start = start_of(planned, self._resources.bases, lambda number: self._built[number].state)
        run = StageRun(
            plan=planned,
            build=self,
            state=start.state,
            open_root=lambda layers: self._open_root(planned.base, layers),
            layers=StageLayers(
                self.writer,
                self.sink,
                *self._upload(planned),
                number=planned.number,
                platform=str(planned.platform),
            ),
            cache=self._cached_steps(planned),
            layered=self._wants_layers(planned),
            linked=start.instructions == planned.stage.instructions and self._is_linked(planned),
        )
        self._runs.append(run)
        for position, instruction in enumerate(start.instructions, start=1):
            self._resources.layers.check_stop()
            if self._give_up:
                self._give_up.check()
            with run.step(position, start.instructions):
                execute(run, instruction)
        run.finish()
        self.records += run.records
        self._built[planned.number] = run
        return run

    def _upload(self, planned: StagePlan) -> tuple[Callable[[Layer], None], OnLarge]:
        """What begins to upload the stage's layers: when they are written, and large ones when they are begun."""
        outputs = self._resources.outputs
        if self.plan.reaches_image(planned):
            return outputs.layer_ready, outputs.layer_begun
        return _ignore, nobody

    def _cached_steps(self, planned: StagePlan) -> CachedSteps | None:
        """The cache as the steps of the stage ask it, None without one."""
        if self._resources.cache is None:
            return None

        def upon_of_source(step: FileStep) -> str:
            return "".join(map(self._upon, self.plan.sources_of(step, planned)))

        return self._resources.cache.steps(planned.number, self._cache_of(planned.base), upon_of_source)

    def _upon(self, base: Base) -> str:
        """What the RUNs of a stage made, for the entries of what copies from it; '' for what is no stage."""
        cache = self._cache_of(base)
        return cache.upon.text if cache else ""

    def _cache_of(self, base: Base) -> CachedSteps | None:
        built = self._built.get(base.number) if isinstance(base, StageBase) else None
        return built.cache if built else None

    def _open_root(self, base: Base, layers: Sequence[Layer]) -> RootFs:
        """A root with `layers`: a fork of the root of the stage built upon, where that has one and just these."""
        parent = self._built[base.number] if isinstance(base, StageBase) else None
        if parent and parent.has_root and parent.state.layers == layers:
            return self._roots.fork(parent.settled_root)
        return self._roots.open(layers)

    def _needed(self, number: int) -> StageRun:
        """A stage by number; one that only an ONBUILD trigger names is built now."""
        if number not in self._built:
            for planned in self._stages_for(number):
                if planned.number not in self._built:
                    self._stage(planned)
        return self._built[number]

    def _stages_for(self, number: int) -> tuple[StagePlan, ...]:
        """The stage of that number and those it needs: for one that the plan has not, since a trigger names it."""
        return tuple(plan_stage(self._frontend.dockerfile, self._request, number))

    def _wants_layers(self, planned: StagePlan) -> bool:
        """Whether the stage's layers go anywhere: into the image, the cache, or the key of a cache mount."""
        return (
            self.plan.reaches_image(planned)
            or self._resources.cache is not None
            or StageBase(planned.number) in self.plan.cache_sources()
        )


def _ignore(_layer: Layer) -> None:
    """A layer of a stage that is only copied from."""
