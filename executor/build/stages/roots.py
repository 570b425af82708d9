"""The root filesystems of a build: by one driver, opened when somebody reads them, closed together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from executor.build.bases.bases import BaseImages
from executor.build.bases.layersource import LayerSource
from executor.build.plan.buildplan import Base, ImageBase
from executor.dockerfile.instructions import Copy
from executor.events import Sink
from executor.image.layer import Layer
from executor.image.platform import Platform
from executor.rootfs.base import Driver, RootFs
from executor.rootfs.choose import choose_driver
from executor.spec import BuildSpec
from executor.store import Store


class Roots:
    """Roots of layers and of images that are copied from. Safe for the threads of stages side by side."""

    def __init__(self, store: Store, bases: BaseImages, layers: LayerSource, spec: BuildSpec, sink: Sink) -> None:
        self._store = store
        self._bases = bases
        self._layers = layers
        self._spec = spec
        self._sink = sink
        self._lock = threading.RLock()
        self._driver: Driver | None = None
        self._open = ExitStack()
        self._images: dict[tuple[str, Platform], RootFs] = {}

    @property
    def driver(self) -> Driver:
        """The driver, chosen when it is first asked for."""
        with self._lock:
            if self._driver is None:
                self._driver = choose_driver(
                    self._store, self._spec.rootfs, self._sink, written=self._spec.context_excludes
                )
            return self._driver

    @property
    def driver_name(self) -> str:
        """The driver in use, '' when nobody needed one."""
        return self._driver.name if self._driver else ""

    def open(self, layers: Sequence[Layer]) -> RootFs:
        """A new root with `layers`."""
        return self._open.enter_context(self.driver.open_root(layers, self._layers.open))

    def fork(self, root: Callable[[], RootFs]) -> RootFs:
        """A new root with the content of the one that `root` gives, committed."""
        with self._lock:
            return self._open.enter_context(root().fork())

    def prefetch(self, base: ImageBase, platform: Platform) -> AbstractContextManager[None]:
        """Begin to unpack an image; leaving the context waits for it."""
        return self.driver.prefetch(self.layers_of(base, platform), self._layers.open)

    def of_image(self, base: Base, platform: Platform) -> RootFs:
        """The root of an image that is copied or mounted from; of scratch an empty one."""
        key = (str(base), platform)
        with self._lock:
            if key not in self._images:
                self._images[key] = self.open(self.layers_of(base, platform))
            return self._images[key]

    def picked(self, step: Copy, base: ImageBase, platform: Platform) -> str:
        """A directory with what `step` copies from an image, '' when the whole image is to be opened for it."""
        layers = self.layers_of(base, platform)
        if (str(base), platform) in self._images or (self._driver and self._driver.opens_at_once(layers)):
            return ""
        from executor.build.copying.pickedfiles import picked_tree  # few builds copy from an image

        return picked_tree(self._store.unpacked, layers, self._layers.open, step) or ""

    def layers_of(self, base: Base, platform: Platform) -> tuple[Layer, ...]:
        """The layers of an image; scratch has none."""
        return self._bases.get(base.reference, platform).layers if isinstance(base, ImageBase) else ()

    def close(self) -> None:
        """Close every root; others can be opened after that."""
        self._open.close()
        self._images.clear()
