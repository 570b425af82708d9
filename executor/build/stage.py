"""One stage while it is being built: its state, its root filesystem if one is needed, its layers as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from executor.build.clock import Clock
from executor.build.layerwriter import LayerWriter
from executor.build.plan import StagePlan, first_line
from executor.build.state import StageState
from executor.context.base import ContextTree
from executor.dockerfile.instructions import Copy, StageInstruction
from executor.events import Sink, StepFinished, StepStarted
from executor.image.layer import Layer
from executor.rootfs.base import RootFs
from executor.spec import BuildSpec, StepRecord


class Surroundings(Protocol):
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

    def argument(self, name: str) -> str | None:
        """The value of an ARG without a default: a build argument or a global one, None when there is none."""

    def source_root(self, instruction: Copy, stage: StageRun) -> RootFs:
        """The root that the `--from` of `instruction` means in `stage`."""

    def scratch(self, prefix: str) -> str:
        """A new empty directory, removed with the build."""


@dataclass(slots=True)
class StageRun:
    """A stage under way. `open_root` makes its root filesystem when the first instruction needs one."""

    plan: StagePlan
    around: Surroundings
    state: StageState
    open_root: Callable[[], RootFs]
    on_layer: Callable[[Layer], None]
    records: list[StepRecord] = field(default_factory=list)
    _root: RootFs | None = None

    @property
    def root(self) -> RootFs:
        """The stage's root filesystem, opened at the first call."""
        if self._root is None:
            self._root = self.open_root()
        return self._root

    @property
    def has_root(self) -> bool:
        """True once something needed the root filesystem."""
        return self._root is not None

    def snapshot(self, created_by: str) -> None:
        """Turn what the instruction changed into a layer (none when nothing changed) and add it to the history."""
        layer = None if self.around.spec.rootfs.single_snapshot else self._layer()
        self.note(created_by, layer=layer)

    def finish(self) -> None:
        """With --single-snapshot: make the stage's one layer."""
        if self.around.spec.rootfs.single_snapshot and self._root is not None:
            layer = self._layer()
            if layer is not None:
                self.note("all changes of the stage (--single-snapshot)", layer=layer)

    def note(self, created_by: str, *, layer: Layer | None = None) -> None:
        """Add an entry to the history."""
        self.state = self.state.with_history(created_by, layer=layer, created=self.around.clock.created())

    def _layer(self) -> Layer | None:
        layer = self.around.writer.write(self.root.changes())
        self.root.commit(layer)
        if layer is not None:
            self.on_layer(layer)
        return layer

    @contextmanager
    def step(self, position: int, instructions: Sequence[StageInstruction]) -> Iterator[None]:
        """Tell of an instruction before and after, and keep the record of it."""
        text = first_line(instructions[position - 1].source)
        stage, layers, started = self.plan.stage.index, len(self.state.layers), time.monotonic()
        self.around.sink(StepStarted(stage=stage, position=position, total=len(instructions), instruction=text))
        yield
        layer = self.state.layers[-1].descriptor if len(self.state.layers) > layers else None
        record = StepRecord(
            stage=stage,
            instruction=text,
            seconds=round(time.monotonic() - started, 3),
            layer_digest=str(layer.digest) if layer else "",
            layer_size=layer.size if layer else 0,
        )
        self.records.append(record)
        self.around.sink(
            StepFinished(
                stage=stage,
                position=position,
                instruction=text,
                seconds=record.seconds,
                layer_digest=record.layer_digest,
                layer_size=record.layer_size,
            )
        )
