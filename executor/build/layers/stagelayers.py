"""What the steps of a stage changed, as layers: a small one at once, a large one while the stage goes on."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import chain

from executor.build.layers.laterlayers import LaterLayers, done
from executor.build.layers.layerwriter import LayerWriter, OnLarge, nobody
from executor.dataclass import dataclass
from executor.errors import Location, StepError
from executor.events import LayerWritten, Sink
from executor.image.layer import Layer
from executor.rootfs.base import RootFs, SetAside
from executor.snapshot.changes import Change, Siblings, singly

_FEW = 64
_LITTLE = 1 << 20
"""Fewer changes with less content, in bytes, are written at once: that is done before a thread would begin."""


@contextmanager
def depth_explained(location: Location | None = None) -> Iterator[None]:
    """Raise StepError where a command made a tree that is deeper than any path is long, or than we can follow."""
    try:
        yield
    except (RecursionError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            raise
        message = "directories are nested too deep: no path may have more than 4095 bytes"
        raise StepError(message, location=location) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the step at `position` made: a `layer`, None for nothing."""

    position: int
    layer: Future[Layer | None]
    kept: SetAside | None = None

    @property
    def meanwhile(self) -> bool:
        """Whether later steps may begin before the layer is there."""
        return self.kept is not None


class StageLayers:
    """Writes the layers of stage `number`, tells of each, and hands it to `on_layer` as soon as it is written.

    A large one is handed to `on_large` before that.
    """

    def __init__(
        self,
        writer: LayerWriter,
        sink: Sink,
        on_layer: Callable[[Layer], None],
        on_large: OnLarge = nobody,
        *,
        number: int,
        platform: str,
    ) -> None:
        self.later = LaterLayers()
        self._writer = writer
        self._sink = sink
        self.on_layer = on_layer
        self._on_large = on_large
        self._number = number
        self._platform = platform
        self._snapshots: list[Snapshot] = []

    def snapshot(self, root: RootFs, position: int) -> Snapshot:
        """Commit `root`, and see that what the step at `position` changed becomes a layer."""
        changes = root.changes().grouped()
        first = _first(changes)
        small = len(first) < _FEW and sum(change.entry.size for change in first) < _LITTLE
        made = None if small else root.set_aside(partial(self._write_later, position))
        if made is None:
            made = Snapshot(position=position, layer=done(self._write(chain(first, changes), position)))
            root.commit(made.layer.result())
        self._snapshots.append(made)
        return made

    def whole(self, root: RootFs) -> Layer | None:
        """Commit `root`; all that the stage changed as one layer."""
        layer = self._write(root.changes().grouped(), 0)
        root.commit(layer)
        return layer

    def made(self, *, wait: bool = False) -> Iterator[tuple[int, Layer]]:
        """The layers that are written and were not given before, with the positions of their steps, in order.

        With `wait` all of them. Raises what kept one from being written.
        """
        while self._snapshots and (wait or self._snapshots[0].layer.done()):
            snapshot = self._snapshots.pop(0)
            layer = snapshot.layer.result()
            if layer:
                if snapshot.kept:
                    snapshot.kept.became(layer)
                yield snapshot.position, layer

    def _write_later(self, position: int, kept: SetAside) -> Snapshot:
        layer = self.later.begin(partial(self._write, kept.changes, position, meanwhile=True))
        return Snapshot(position=position, layer=layer, kept=kept)

    def _write(
        self, changes: Iterable[Change | Siblings], position: int, *, meanwhile: bool = False
    ) -> Layer | None:
        started = time.monotonic()
        with depth_explained():
            layer = self._writer.write(changes, self.later.check, self._on_large)
        if layer:
            self._sink(
                LayerWritten(
                    stage=self._number,
                    position=position,
                    digest=layer.descriptor.digest,
                    size=layer.descriptor.size,
                    seconds=time.monotonic() - started,
                    platform=self._platform,
                    meanwhile=meanwhile,
                )
            )
            self.on_layer(layer)
        return layer


def _first(changes: Iterator[Change | Siblings]) -> list[Change]:
    """The first _FEW of `changes`, or some more, taken from it; all where there are not so many."""
    first: list[Change] = []
    for found in changes:
        first += singly([found])
        if len(first) >= _FEW:
            break
    return first
