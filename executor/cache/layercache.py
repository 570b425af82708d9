"""The layer cache of one build: looks keys up in the background, writes entries in the background, never fails.

Whatever is wrong with a place or an entry becomes a warning and a miss. A place that cannot be read or written is
warned of once and then left alone. Entries made in this build are found again without any place.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import BinaryIO

from executor.cache.entry import EMPTY_BLOB, Entry, to_image
from executor.cache.places import Place
from executor.dataclass import dataclass, field
from executor.errors import Error, ImageError, StoppedError
from executor.events import Noted, Sink, Warned
from executor.image.digest import Digest
from executor.image.formats import OCI, Format
from executor.image.layer import Layer

OpenBlob = Callable[[Layer], BinaryIO]
"""Opens the compressed bytes of a layer."""

PATIENCE = 30.0
"""Seconds that a build waits for a look-up, when it needs the answer."""

_READERS = 8
_WRITERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry and the place that has it; '' when it was made in this build."""

    entry: Entry
    place: str = ""


@dataclass(slots=True, kw_only=True)
class _Known:
    """What is known while the build goes on. `lost` are layers that could not be had when they were needed."""

    looked_up: dict[str, Future[Found | None]] = field(default_factory=dict)
    made: dict[str, Entry] = field(default_factory=dict)
    lost: set[Digest] = field(default_factory=set)
    broken: set[tuple[str, str]] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    stalled: bool = False


class LayerCache:
    """Looks up in `sources` in order, the first place that has a key wins; writes to each of `targets`.

    `ttl` is the age in seconds from which an entry no longer counts; nor does one whose layer has no name in
    `image_format`. Safe for several threads; close it.
    """

    def __init__(
        self,
        sources: Sequence[Place],
        targets: Sequence[Place],
        sink: Sink,
        *,
        ttl: float,
        image_format: Format = OCI,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sources = sources
        self._targets = targets
        self._sink = sink
        self._ttl = ttl
        self._format = image_format
        self._clock = clock
        self._lock = threading.Lock()
        self._known = _Known()
        self._writes: list[Future[None]] = []
        self._readers = ThreadPoolExecutor(_READERS, "cache-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "cache-write")

    def prefetch(self, key: str) -> None:
        """Begin to look `key` up."""
        self._future(key)

    def get(self, key: str) -> Found | None:
        """The entry of `key`, None when no place has one that can be used."""
        made = self._known.made.get(key)
        if made:
            return Found(entry=made)
        found = self._wait(key)
        if found and found.entry.layer and found.entry.layer.descriptor.digest in self._known.lost:
            return None
        return found

    def _wait(self, key: str) -> Found | None:
        """The answer for `key`. One wait that is too long is the last: what is not known by then is a miss."""
        future = self._future(key)
        try:
            return future.result(timeout=0 if self._known.stalled else PATIENCE)
        except TimeoutError:
            with self._lock:
                first, self._known.stalled = not self._known.stalled, True
            if first:
                self._warn(f"the layer cache does not answer within {PATIENCE:.0f} s, so this build does without")
            return None

    def put(self, entry: Entry, open_blob: OpenBlob) -> None:
        """Remember what was made, and write it to every target; `open_blob` is for its layer."""
        with self._lock:
            self._known.made[entry.key] = entry
            for place in self._targets:
                self._writes.append(self._writers.submit(self._write, place, entry, open_blob))

    def lose(self, failed: AbstractSet[Digest]) -> list[str]:
        """Forget entries whose layers are among `failed`: their bytes cannot be had, or are not what was promised.

        Returns the names of those that `get` gave and gives no more.
        """
        lost: list[str] = []
        with self._lock:  # other stages go on, and look up what they come to
            for key, future in self._known.looked_up.items():
                found = future.result() if future.done() and not future.cancelled() else None
                layer = found.entry.layer if found else None
                if (
                    found
                    and layer
                    and layer.descriptor.digest in failed - self._known.lost
                    and key not in self._known.made
                ):
                    lost.append(f"{found.place}:{key}")
            self._known.lost |= failed
        return lost

    @property
    def written(self) -> list[str]:
        """The names of the places that something was written to."""
        return sorted(self._known.written)

    def close(self, *, hurry: bool = False) -> None:
        """Wait for what is being written; in a `hurry`, give up what has not begun."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        if not hurry:
            wait(self._writes)
        self._writers.shutdown(wait=True, cancel_futures=hurry)

    def _future(self, key: str) -> Future[Found | None]:
        with self._lock:
            if key not in self._known.looked_up:
                self._known.looked_up[key] = self._readers.submit(self._look_up, key)
            return self._known.looked_up[key]

    def _look_up(self, key: str) -> Found | None:
        for place in self._sources:
            if self._works(place, "read"):
                entry = self._read(place, key)
                if entry:
                    return Found(entry=entry, place=place.name)
        return None

    def _read(self, place: Place, key: str) -> Entry | None:
        try:
            entry = place.get(key)
        except ImageError as error:
            self._warn(f"the cached layer {place.name}:{key} cannot be used: {error.message}")
            return None
        except (Error, OSError) as error:
            self._give_up(place, "read", error)
            return None
        if entry and entry.created + self._ttl < self._clock():
            age = (self._clock() - entry.created) / 3600
            self._warn(f"the cached layer {place.name}:{key} has expired: it is {age:.1f} h old (--cache-ttl)")
            return None
        if entry and entry.layer and not self._format.takes(entry.layer.descriptor):
            kind, wanted = entry.layer.descriptor.media_type, self._format.name
            self._warn(f"the cached layer {place.name}:{key} is {kind}, which a {wanted} image cannot have")
            return None
        return entry

    def _write(self, place: Place, entry: Entry, open_blob: OpenBlob) -> None:
        if not self._works(place, "written"):
            return
        try:
            place.put(entry.key, to_image(entry), _opener(entry.layer, open_blob))
            self._known.written.add(place.name)
            self._sink(Noted(message=f"cached {place.name}:{entry.key}"))
        except StoppedError:
            return
        except (Error, OSError) as error:
            self._give_up(place, "written", error)

    def _works(self, place: Place, way: str) -> bool:
        return (place.name, way) not in self._known.broken

    def _give_up(self, place: Place, way: str, error: Error | OSError) -> None:
        with self._lock:
            first = self._works(place, way)
            self._known.broken.add((place.name, way))
        if first:
            reason = error.message if isinstance(error, Error) else f"{error.filename}: {error.strerror}"
            self._warn(f"the layer cache {place.name} cannot be {way}, so this build does without: {reason}")

    def _warn(self, message: str) -> None:
        self._sink(Warned(message=message))


def _opener(layer: Layer | None, open_blob: OpenBlob) -> Callable[[], BinaryIO]:
    return (lambda: io.BytesIO(EMPTY_BLOB)) if layer is None else (lambda: open_blob(layer))
