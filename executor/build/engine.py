"""Build one image: resolve bases, build the stages that the target needs, assemble the image, hand it out.

`build` is the whole of it; `Build` holds what the stages share while it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from executor.build.bases import BaseImages
from executor.build.clock import Clock
from executor.build.frontend import Frontend, read_frontend
from executor.build.images import Assembled, assemble
from executor.build.layersource import LayerSource
from executor.build.layerwriter import LayerWriter
from executor.build.outputs import Outputs
from executor.build.plan import Base, ImageBase, ScratchBase, StageBase, StagePlan, plan_build, source_of
from executor.build.stage import StageRun
from executor.build.state import StageState, child_state, image_state, scratch_state
from executor.build.steps import execute
from executor.build.stopping import StopFlag, stopping_on_signals
from executor.context.base import ContextTree, open_context
from executor.dockerfile.instructions import Copy, StageInstruction
from executor.dockerfile.parser import parse_trigger
from executor.errors import InvalidFileError, StepError
from executor.events import BuildStarted, BuildSucceeded, Sink, StageStarted, Warned
from executor.image.layer import Layer
from executor.image.platform import Platform
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.rootfs.base import Driver, RootFs
from executor.rootfs.choose import choose_driver
from executor.rootfs.namespaces import enter_mount_namespace
from executor.spec import BuildResult, BuildSpec, StepRecord
from executor.store import Store


def build(spec: BuildSpec, sink: Sink) -> BuildResult:
    """Build the image that `spec` asks for, and push and write it where it says.

    Call it while the process has one thread: it may enter a mount namespace of its own. Raises executor.errors
    classes only, and leaves no process, mount or working file behind.
    """
    started = time.monotonic()
    enter_mount_namespace()
    sink(BuildStarted(name=spec.name, dockerfile=spec.dockerfile, context=spec.context))
    stop = StopFlag()
    with stopping_on_signals(stop), Store.open(spec.rootfs.home) as store, ExitStack() as stack:
        folder = stack.enter_context(
            open_context(
                spec.context, sub_path=spec.context_sub_path, scratch=lambda: store.scratch("context"), sink=sink
            )
        )
        frontend = read_frontend(spec, folder)
        engine = stack.enter_context(_engine(spec, sink, store, frontend, stop))
        image = engine.run()
        pushed = engine.deliver(image)
        result = BuildResult(
            digest=image.manifest.digest,
            media_type=image.manifest.media_type,
            config_digest=image.config_descriptor.digest,
            size=image.size,
            platform=str(image.config.platform),
            driver=engine.driver_name,
            seconds=round(time.monotonic() - started, 3),
            destinations=spec.output.destinations,
            pushed=pushed,
            steps=tuple(engine.records),
        )
    sink(BuildSucceeded(result=result.to_json()))
    return result


@contextmanager
def _engine(spec: BuildSpec, sink: Sink, store: Store, frontend: Frontend, stop: StopFlag) -> Iterator[Engine]:
    keychain = Keychain.from_environment()
    pull_client = RegistryClient(spec.registry, keychain, sink, "pull")
    bases = BaseImages(store, pull_client, spec.local_images, sink)
    layers = LayerSource(store.blobs, pull_client, stop)
    push_client = RegistryClient(spec.registry, keychain, sink, "push", retry=spec.output.push_retry)
    outputs = Outputs(spec, store, layers, push_client, sink)
    engine = Engine(spec, sink, frontend, _Supplies(store, bases, layers, outputs))
    try:
        yield engine
    finally:
        engine.close()
        outputs.close()
        bases.close()


@dataclass(slots=True)
class _Built:
    """A stage that is done, or an image that is copied from: its state, and its root once somebody reads it."""

    state: StageState
    run: StageRun


@dataclass(frozen=True, slots=True)
class _Supplies:
    """What a build draws on and hands to."""

    store: Store
    bases: BaseImages
    layers: LayerSource
    outputs: Outputs


class Engine:
    """One build under way; see `Surroundings` in stage.py for what the stages ask of it."""

    def __init__(self, spec: BuildSpec, sink: Sink, frontend: Frontend, supplies: _Supplies) -> None:
        epoch = spec.source_date_epoch
        if epoch is None and spec.reproducible:
            epoch = 0
        self.spec = spec
        self.sink = sink
        self.clock = Clock(epoch)
        self.writer = LayerWriter(supplies.store.blobs, reproducible=spec.reproducible, epoch=epoch)
        self.records: list[StepRecord] = []
        self._frontend = frontend
        self._supplies = supplies
        self._driver: Driver | None = None
        self._roots = ExitStack()
        self._built: dict[int, _Built] = {}
        self._image_roots: dict[tuple[str, Platform], RootFs] = {}
        platform = Platform.parse(spec.platform) if spec.platform else Platform.host()
        self.plan = plan_build(
            frontend.dockerfile, target=spec.target, build_args=spec.build_args, platform=platform
        )
        self.escape = self.plan.escape

    @property
    def context(self) -> ContextTree:
        """The build context, ignored files hidden."""
        return self._frontend.context

    @property
    def driver_name(self) -> str:
        """The driver in use, '' when the build needed none."""
        return self._driver.name if self._driver else ""

    def run(self) -> Assembled:
        """Build every stage that the target needs and assemble the image."""
        self._warn()
        self._supplies.outputs.check_permissions()
        self._supplies.bases.prefetch(self.plan.images())
        with self._unpacking_bases():
            for planned in self.plan.stages:
                self._stage(planned)
        state = self._built[self.plan.target.stage.index].state
        return assemble(state, self.spec, self._supplies.store, self.clock, self.sink)

    def deliver(self, image: Assembled) -> tuple[str, ...]:
        """Push the image and write it where it was asked for; the names that registries now hold."""
        return self._supplies.outputs.deliver(image)

    def argument(self, name: str) -> str | None:
        """The value of an ARG that has no default where it is declared."""
        return self.plan.variables.get(name)

    def scratch(self, prefix: str) -> str:
        """A new empty directory in the store's working folder."""
        return self._supplies.store.scratch(prefix)

    def source_root(self, instruction: Copy, stage: StageRun) -> RootFs:
        """The root filesystem that the `--from` of `instruction` means in `stage`."""
        source = source_of(self._frontend.dockerfile, instruction, stage.plan.stage)
        if isinstance(source, ImageBase):
            return self._image_root(source.reference, stage.plan.platform)
        return self._needed(source.index, stage).run.root

    def close(self) -> None:
        """Close every root filesystem."""
        self._roots.close()

    @contextmanager
    def _unpacking_bases(self) -> Iterator[None]:
        """Unpack the bases of later stages while the first ones run; an image that is not there fails first."""
        with ExitStack() as stack:
            for planned in self.plan.stages:
                if isinstance(planned.base, ImageBase):
                    image = self._supplies.bases.get(planned.base.reference, planned.platform)
                    if planned.needs_root:
                        stack.enter_context(self._drive().prefetch(image.layers, self._supplies.layers.open))
            yield

    def _stage(self, planned: StagePlan) -> _Built:
        position = self.plan.stages.index(planned) + 1 if planned in self.plan.stages else 0
        self.sink(
            StageStarted(
                index=planned.stage.index,
                name=planned.stage.name,
                base=str(planned.base),
                position=position,
                total=len(self.plan.stages),
            )
        )
        state, triggers = self._start(planned)
        run = StageRun(
            plan=planned,
            around=self,
            state=state,
            open_root=lambda: self._open_root(planned.base, state),
            on_layer=self._supplies.outputs.layer_ready if self._reaches_image(planned) else _ignore,
        )
        instructions = (*self._triggered(planned, triggers), *planned.stage.instructions)
        for position, instruction in enumerate(instructions, start=1):
            with run.step(position, instructions):
                execute(run, instruction)
        run.finish()
        self.records += run.records
        built = _Built(run.state, run)
        self._built[planned.stage.index] = built
        return built

    def _start(self, planned: StagePlan) -> tuple[StageState, tuple[str, ...]]:
        """The state after FROM, and the base's ONBUILD triggers."""
        match planned.base:
            case ScratchBase():
                return scratch_state(planned.platform), ()
            case StageBase(index):
                parent = self._built[index].state
                return child_state(parent), parent.config.on_build
            case ImageBase(reference):
                image = self._supplies.bases.get(reference, planned.platform)
                return image_state(image.config, image.layers), image.config.config.on_build

    def _triggered(self, planned: StagePlan, triggers: tuple[str, ...]) -> Iterator[StageInstruction]:
        for expression in triggers:
            try:
                yield parse_trigger(expression, planned.stage.base.location, "\\")
            except InvalidFileError as error:
                raise StepError(
                    f"ONBUILD trigger {expression!r} of the base image cannot be read: {error.message}"
                ) from error

    def _open_root(self, base: Base, state: StageState) -> RootFs:
        if isinstance(base, StageBase) and self._built[base.index].run.has_root:
            root = self._built[base.index].run.root.fork()
        else:
            root = self._drive().open_root(state.layers, self._supplies.layers.open)
        return self._roots.enter_context(root)

    def _image_root(self, reference: str, platform: Platform) -> RootFs:
        key = (reference, platform)
        if key not in self._image_roots:
            image = self._supplies.bases.get(reference, platform)
            root = self._drive().open_root(image.layers, self._supplies.layers.open)
            self._image_roots[key] = self._roots.enter_context(root)
        return self._image_roots[key]

    def _drive(self) -> Driver:
        if self._driver is None:
            self._driver = choose_driver(self._supplies.store, self.spec.rootfs, self.sink)
        return self._driver

    def _needed(self, index: int, stage: StageRun) -> _Built:
        """A stage by number; one that only an ONBUILD trigger names is built now."""
        if index not in self._built:
            extra = plan_build(
                self._frontend.dockerfile,
                target=str(index),
                build_args=self.spec.build_args,
                platform=stage.plan.platform,
            )
            for planned in extra.stages:
                if planned.stage.index not in self._built:
                    self._stage(planned)
        return self._built[index]

    def _reaches_image(self, planned: StagePlan) -> bool:
        """True when the stage's layers become layers of the image, so that their upload can begin at once."""
        wanted: StagePlan | None = self.plan.target
        while wanted is not None:
            if wanted.stage.index == planned.stage.index:
                return True
            wanted = self.plan.stage(wanted.base.index) if isinstance(wanted.base, StageBase) else None
        return False

    def _warn(self) -> None:
        for warning in self._frontend.dockerfile.warnings:
            self.sink(Warned(message=warning.message, location=str(warning.location)))
        unused = sorted(set(self.spec.build_args) - self._frontend.known_args())
        if unused:
            self.sink(Warned(message=f"build arguments that no ARG declares: {', '.join(unused)}"))


def _ignore(_layer: Layer) -> None:
    """A layer of a stage that is only copied from."""
