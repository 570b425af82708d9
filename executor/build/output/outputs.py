"""Where a built image goes: registries, an OCI layout, an archive, and the files that name its digest.

Files are written first, then pushes are made, all of them tried; the digest files come last, so that they exist
only when everything named in them does.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

from executor.build.bases.layersource import LayerSource
from executor.build.output.digestfiles import check_places, write_digest_files, writing
from executor.build.output.images import Assembled, BuiltImage, result_of
from executor.build.output.pushing import Pushable, Pusher, keep
from executor.errors import ImageError, PushError
from executor.events import Sink
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.layout import remove_unreferenced, write_layout
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.push import PushBlob
from executor.spec import BuildSpec
from executor.store import Store

if TYPE_CHECKING:
    from executor.store.growing import GrowingBlob


class Outputs:
    """The outputs of one build. Layers may be given early by `layer_ready`: their upload begins at once."""

    def __init__(
        self, spec: BuildSpec, store: Store, layers: LayerSource, client: RegistryClient, sink: Sink
    ) -> None:
        check_places(spec.output)
        self._spec = spec
        self._wanted = spec.output
        self._store = store
        self._layers = layers
        self._client = client
        self._pusher = Pusher(client, sink, keep_immutable_tags=spec.output.keep_immutable_tags)
        self._checking = ThreadPoolExecutor(1, "permissions")
        self._names = tuple(Reference.parse(text) for text in spec.output.destinations)
        self._targets = () if spec.output.no_push else self._names

    def check_permissions(self) -> Future[None]:
        """Begin to ask each registry whether it would take a push; the future raises RegistryError when not.

        It is for before the first step: the bases can be looked up meanwhile.
        """
        return self._checking.submit(self._check_permissions)

    def _check_permissions(self) -> None:
        if self._wanted.check_push:
            for name in {target.name: target for target in self._targets}.values():
                give_up = self._client.check_push(name)
                with contextlib.suppress(RuntimeError):  # closed already: the registry forgets it by itself
                    self._checking.submit(give_up)

    def layer_ready(self, layer: Layer) -> None:
        """Begin to upload a layer of the image to the first repository of each registry."""
        for repository in self._first_repositories():
            self._pusher.begin(repository, self._push_blob(layer))

    def layer_begun(self, blob: GrowingBlob) -> None:
        """Begin to upload a large layer that is still being written; `layer_ready` is to follow."""
        for repository in self._first_repositories():
            self._pusher.begin_early(repository, self._layers.follow(blob))

    def holder(self, registry: str, digest: Digest) -> str:
        """See `BlobUploads.holder`."""
        return self._pusher.holder(registry, digest)

    def deliver(self, image: BuiltImage) -> tuple[str, ...]:
        """Write and push `image`; the `repository:tag@digest` names that registries now hold.

        With `defer` none does: the image waits in the store, and its layers are sent. Raises PushError when a
        destination does not have it, naming each that failed; it waits in the store then, if `keep` says so.
        """
        self._layers.check_stop()
        self._write_files(image)
        pushed = self._push(image) if self._targets else ()
        if not self._wanted.defer:
            write_digest_files(self._wanted, image.root.digest)
        return pushed

    def close(self) -> None:
        """Give up uploads that nobody waits for."""
        self._checking.shutdown()
        self._pusher.close()

    def _first_repositories(self) -> list[str]:
        """One of each registry: others mount from there."""
        return [target.name for target in {target.registry: target for target in reversed(self._targets)}.values()]

    def _write_files(self, image: BuiltImage) -> None:
        wanted = self._wanted
        if wanted.oci_layout_path or wanted.tar_path:
            for layer in image.layers:
                self._layers.ensure(layer)
        if wanted.oci_layout_path:
            writing(wanted.oci_layout_path, lambda path: self._write_layout(image, path))
        if wanted.tar_path:
            writing(wanted.tar_path, lambda path: self._write_archive(image, path))

    def _write_layout(self, image: BuiltImage, path: str) -> None:
        name = str(self._names[0]) if self._names else ""
        if write_layout(path, image.root, image.document, self._open, name=name):
            with contextlib.suppress(ImageError, OSError):  # what others left there is not this build's fault
                remove_unreferenced(path)

    def _write_archive(self, image: BuiltImage, path: str) -> None:
        from executor.image.archive import write_archive  # most images go to registries only

        write_archive(path, image.document, self._open, tags=[name for name in self._names if name.tag])

    def _open(self, descriptor: Descriptor) -> BinaryIO:
        return self._store.blobs.open(descriptor.digest)

    def _push(self, image: BuiltImage) -> tuple[str, ...]:
        pushable = self._pushable(image)
        if self._wanted.keep:
            keep(self._store, pushable, self._spec, result_of(image, self._spec))
        if self._wanted.defer:
            with contextlib.suppress(PushError):  # the sink knows, and the push to come tries again
                self._pusher.send_content(pushable, self._targets)
            return ()
        digest = image.root.digest
        pushed: list[Reference] = []
        try:
            self._pusher.push(pushable, self._targets, pushed.append)
        finally:
            if self._wanted.keep:
                self._store.unpushed.settle(self._wanted.keep, digest, map(str, pushed))
        for each in image.images:
            self._remember_sources(each)
        return tuple(f"{target}@{digest}" for target in pushed)

    def _pushable(self, image: BuiltImage) -> Pushable:
        children = tuple(map(self._single, image.images))
        if not image.is_index:
            return children[0]
        return Pushable(descriptor=image.root, document=image.document, children=children)

    def _single(self, image: Assembled) -> Pushable:
        blobs = [self._push_blob(layer) for layer in image.layers]
        config = image.config_descriptor
        blobs.append(PushBlob(descriptor=config, source="", open=lambda: self._open(config)))
        return Pushable(descriptor=image.manifest, document=image.manifest_bytes, blobs=tuple(blobs))

    def _remember_sources(self, image: Assembled) -> None:
        """A child image of the same session can have the layers mounted from where this one was pushed."""
        known = {str(layer.descriptor.digest): layer.source or self._targets[0].name for layer in image.layers}
        self._store.sources.put(image.manifest.digest, known)

    def _push_blob(self, layer: Layer) -> PushBlob:
        def opened() -> BinaryIO:
            return self._layers.open_blob(layer)

        return PushBlob(descriptor=layer.descriptor, source=layer.source, open=opened)
