"""One stage while it is being built: its state, its root filesystem if one is needed, its layers as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from executor.build.layers.layerwriter import LayerWriter
from executor.build.layers.stagelayers import StageLayers, depth_explained
from executor.build.plan.buildplan import StagePlan, on_one_line
from executor.build.state.clock import Clock, now
from executor.build.state.stagestate import StageState
from executor.build.supplies.mountsupplies import MountSupplies
from executor.context.base import ContextTree
from executor.dataclass import dataclass, field, replace
from executor.dockerfile.instructions import Add, Copy, Mount, StageInstruction
from executor.errors import ContextError, Location, StepError
from executor.events import Sink, StepFinished, StepStarted
from executor.image.layer import Layer
from executor.rootfs.base import RootFs
from executor.spec import BuildSpec, StepRecord

if TYPE_CHECKING:  # a build without a layer cache does without these
    from executor.build.stages.cachedsteps import CachedSteps
    from executor.build.stages.stepkeys import FileStep

_SINGLE = "all changes of the stage (--single-snapshot)"


class Build(Protocol):
    """What a stage may ask of the build it belongs to."""

    @property
    def spec(self) -> BuildSpec:
        """What was asked for."""

    @property
    def sink(self) -> Sink:
        """Where events go."""

    @property
    def writer(self) -> LayerWriter:
        """Makes layers of changes."""

    @property
    def clock(self) -> Clock:
        """The creation times that the image records."""

    @property
    def escape(self) -> str:
        """The Dockerfile's escape character."""

    @property
    def context(self) -> ContextTree:
        """The build context."""

    @property
    def mount_supplies(self) -> MountSupplies:
        """What the mounts of RUNs draw on."""

    def tree_of(self, reader: Copy | Add | Mount, planned: StagePlan) -> ContextTree | None:
        """The context that `reader` takes its files from in `planned`, None when that is a stage or an image."""

    def source_root(self, reader: Copy | Mount, stage: Stage) -> RootFs:
        """The root that the `from` of a COPY or a mount means in `stage`."""

    def copied_tree(self, step: Copy, stage: Stage) -> str:
        """A directory with what a COPY --from reads in `stage`: that root, or the files of it that are named."""

    def source_layers(self, reader: Copy | Mount, stage: Stage) -> tuple[Layer, ...]:
        """The layers of that root."""

    def scratch(self, prefix: str) -> str:
        """A new empty directory, removed with the build."""

    @property
    def give_up(self) -> int | None:
        """A descriptor that can be read once commands have to end; None while a signal alone ends them."""


class Stage(Protocol):
    """What an instruction may do to its stage: change the state, and say how it changes files."""

    plan: StagePlan
    build: Build
    state: StageState

    @property
    def root(self) -> RootFs:
        """The root filesystem; only for the `work` of `change`."""

    def change(self, instruction: FileStep, text: str, work: Callable[[], None]) -> None:
        """Carry out an instruction that changes files: call `work`, unless the cache has the result.

        `text` is what the history says of it.
        """

    def note(self, created_by: str) -> None:
        """Add an instruction that makes no layer to the history."""


@dataclass(slots=True)
class StageRun:
    """A stage under way; a `Stage`. `open_root` makes its root filesystem of the layers that it has by then.

    `layered` is False when nobody wants the stage's layers, as when it is only copied from: none is made then.
    With `linked` each step has an empty root of its own, see `BuildPlan.is_linked`.
    """

    plan: StagePlan
    build: Build
    state: StageState
    open_root: Callable[[Sequence[Layer]], RootFs]
    layers: StageLayers
    cache: CachedSteps | None = None
    layered: bool = True
    linked: bool = False
    records: list[StepRecord] = field(default_factory=list)
    _opening: threading.RLock = field(default_factory=threading.RLock)
    _root: RootFs | None = None
    _cached: bool = False
    _unsettled: bool = False
    _made: Layer | None = None
    _position: int = 0

    @property
    def root(self) -> RootFs:
        """The stage's root filesystem, opened at the first call; when the stage is done, any thread may call."""
        with self._opening:
            if self._root is None:
                self._root = self.open_root(() if self.linked else self.state.layers)
            return self._root

    @property
    def has_root(self) -> bool:
        """True once something needed the root filesystem."""
        return self._root is not None

    def change(self, instruction: FileStep, text: str, work: Callable[[], None]) -> None:
        """See `Stage.change`. What changed becomes a layer (none when nothing did), now or at the stage's end."""
        found = self.cache.look_up(instruction, lambda: self._contents(instruction)) if self.cache else None
        self._cached = found is not None
        if found is not None:
            self._take(found.layer, text, found.created)
            return
        work()
        self._unsettled = True
        if self.build.spec.rootfs.single_snapshot or not self.layered:
            self.note(text)
            return
        snapshot = self.layers.snapshot(self.root, self._position)
        if self.linked:
            self._root = None  # the layers that are on their way may need it: it is closed with the build
        self._unsettled = False
        self._made = None if snapshot.meanwhile else snapshot.layer.result()
        made_at = now()
        self.note(text, made_at if snapshot.meanwhile or self._made is not None else None)
        if self.cache:
            self.layers.later.then(self.cache.keep(instruction, snapshot.layer, made_at))

    def finish(self) -> None:
        """Wait for layers that are still being written; with --single-snapshot: make the stage's one layer."""
        if self.build.spec.rootfs.single_snapshot and self.layered:
            self._finish_single()
        self._take_made(wait=True)
        self.layers.later.wait()
        self.linked = False

    def close(self) -> None:
        """Give up layers that are still being written."""
        self.layers.later.close()

    def _finish_single(self) -> None:
        found = self.cache.look_up_stage() if self.cache else None
        if found is not None:
            layer = found.layer
            if layer is not None:
                self._take(layer, _SINGLE, found.created)
        elif self._root is not None:
            layer = self.layers.whole(self.root)
            made_at = now()
            self._unsettled = False
            if layer is not None:
                self.note(_SINGLE, made_at)
                self.state = self.state.with_layer(layer)
            if self.cache:
                self.cache.keep_stage(layer, made_at)

    def settled_root(self) -> RootFs:
        """The stage's root, committed as it is, for another stage to begin with: without layers nobody did so."""
        with self._opening:
            root = self.root
            if self._unsettled:
                root.commit(None)
                self._unsettled = False
            return root

    def _contents(self, instruction: FileStep) -> list[dict[str, Any]] | None:
        """What a COPY --from copies, None when it cannot be told: carrying it out will say why."""
        from executor.build.stages.stepkeys import copied_contents

        if not isinstance(instruction, Copy):
            return None
        try:
            return copied_contents(instruction, self.build.copied_tree(instruction, self))
        except (StepError, OSError):
            return None

    def _take(self, layer: Layer | None, text: str, made_at: int) -> None:
        """Go on with a layer that is known. A root that is open lacks it, and is opened anew if needed."""
        self._take_made(wait=True)
        self.note(text, None if layer is None else made_at)
        self._made = layer
        if layer is not None:
            self.state = self.state.with_layer(layer)
            self.layers.on_layer(layer)
            if self._root is not None:
                self._root.close()
                self._root = None

    def note(self, created_by: str, made_at: int | None = None) -> None:
        """Add an entry to the history; `made_at`: when its layer was made (s since 1970), None without one."""
        created = self.build.clock.text(made_at)
        self.state = self.state.with_history(created_by, created=created, makes_layer=made_at is not None)

    def _take_made(self, *, wait: bool = False) -> None:
        """Take layers that are written into the state and the records, in order; with `wait` all of them."""
        for position, layer in self.layers.made(wait=wait):
            self.state = self.state.with_layer(layer)

            self.records[position - 1] = _with_layer(self.records[position - 1], layer)

    def _begin(self, position: int) -> None:
        """Be at a step, with the layers that are there by now."""
        self.layers.later.raise_failure()
        self._take_made()
        self._position, self._cached, self._made = position, False, None

    @contextmanager
    def step(self, position: int, instructions: Sequence[StageInstruction]) -> Iterator[None]:
        """Tell of an instruction before and after, and keep the record of it."""
        text = on_one_line(instructions[position - 1].source)
        stage, platform = self.plan.number, str(self.plan.platform)
        started = time.monotonic()
        self._begin(position)
        self.build.sink(
            StepStarted(
                stage=stage, position=position, total=len(instructions), instruction=text, platform=platform
            )
        )
        place = instructions[position - 1].location
        with depth_explained(place), _placed(place):
            yield
        seconds = round(time.monotonic() - started, 3)
        record = StepRecord(stage=stage, instruction=text, seconds=seconds, cached=self._cached)
        if self._made:
            record = _with_layer(record, self._made)
        self.records.append(record)
        self.build.sink(
            StepFinished(
                stage=stage,
                position=position,
                instruction=text,
                seconds=record.seconds,
                layer_digest=record.layer_digest,
                layer_size=record.layer_size,
                cached=record.cached,
                platform=platform,
            )
        )


@contextmanager
def _placed(location: Location) -> Iterator[None]:
    """Failures of the instruction at `location` say so. Those of registries and of the machine are not its own."""
    try:
        yield
    except (StepError, ContextError) as error:
        error.location = error.location or location
        raise


def _with_layer(record: StepRecord, layer: Layer) -> StepRecord:
    written = layer.descriptor
    return replace(record, layer_digest=str(written.digest), layer_size=written.size)
