"""Where a built image goes: registries, an OCI layout, an archive, and the files that name its digest.

Files are written first, then pushes are made, all of them tried; the digest files come last, so that they exist
only when everything named in them does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from executor.build.images import Assembled
from executor.build.layersource import LayerSource
from executor.errors import Error, PushError, StoppedError, UnfitError
from executor.events import Sink, Warned
from executor.image.archive import write_archive
from executor.image.descriptor import Descriptor
from executor.image.layer import Layer
from executor.image.layout import write_layout
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.push import BlobUploads, PushBlob, check_push_permission, push_image
from executor.spec import BuildSpec, OutputSpec
from executor.store import Store


class Outputs:
    """The outputs of one build. Layers may be given early by `layer_ready`: their upload begins at once."""

    def __init__(
        self, spec: BuildSpec, store: Store, layers: LayerSource, client: RegistryClient, sink: Sink
    ) -> None:
        self._wanted: OutputSpec = spec.output
        self._store = store
        self._layers = layers
        self._client = client
        self._sink = sink
        self._uploads = BlobUploads(client)
        self._names = tuple(Reference.parse(text) for text in spec.output.destinations)
        self._targets = () if spec.output.no_push else self._names

    def check_permissions(self) -> None:
        """Ask each registry whether it would take a push, before anything is built. Raises RegistryError."""
        if self._wanted.check_push:
            for name in {target.name: target for target in self._targets}.values():
                check_push_permission(self._client, name)

    def layer_ready(self, layer: Layer) -> None:
        """Begin to upload a layer of the image to the first repository of each registry."""
        for target in {target.registry: target for target in reversed(self._targets)}.values():
            self._uploads.begin(target.name, self._push_blob(layer))

    def deliver(self, image: Assembled) -> tuple[str, ...]:
        """Write and push `image`; the `repository:tag@digest` names that registries now hold.

        Raises PushError when a destination does not have it, naming each that failed.
        """
        self._layers.check_stop()
        self._write_files(image)
        pushed = tuple(self._push(image))
        self._remember_sources(image)
        self._write_digests(image)
        return pushed

    def close(self) -> None:
        """Give up uploads that nobody waits for."""
        self._uploads.close()
        self._client.close()

    def _write_files(self, image: Assembled) -> None:
        wanted = self._wanted
        if wanted.oci_layout_path or wanted.tar_path:
            for layer in image.layers:
                self._layers.ensure(layer)
        if wanted.oci_layout_path:
            _writing(wanted.oci_layout_path, lambda path: self._write_layout(image, path))
        if wanted.tar_path:
            _writing(wanted.tar_path, lambda path: self._write_archive(image, path))

    def _write_layout(self, image: Assembled, path: str) -> None:
        name = str(self._names[0]) if self._names else ""
        write_layout(path, image.manifest, image.manifest_bytes, self._open, name=name)

    def _write_archive(self, image: Assembled, path: str) -> None:
        write_archive(path, image.manifest_bytes, self._open, tags=[name for name in self._names if name.tag])

    def _open(self, descriptor: Descriptor) -> BinaryIO:
        return self._store.blobs.open(descriptor.digest)

    def _push(self, image: Assembled) -> Iterable[str]:
        blobs = [self._push_blob(layer) for layer in image.layers]
        blobs.append(
            PushBlob(descriptor=image.config_descriptor, source="", open=self._opener(image.config_descriptor))
        )
        failures: list[tuple[Reference, Error]] = []
        for target in self._targets:
            try:
                push_image(
                    self._client,
                    target,
                    image.manifest_bytes,
                    image.manifest.media_type,
                    blobs,
                    uploads=self._uploads,
                )
                yield f"{target}@{image.manifest.digest}"
            except StoppedError:
                raise
            except Error as error:
                failures.append((target, error))
                self._sink(Warned(message=f"push to {target} failed: {error}"))
        if failures:
            raise _push_error(failures, len(self._targets))

    def _remember_sources(self, image: Assembled) -> None:
        """A child image of the same session can have the layers mounted from where this one was pushed."""
        if self._targets:
            known = {str(layer.descriptor.digest): layer.source or self._targets[0].name for layer in image.layers}
            self._store.sources.put(image.manifest.digest, known)

    def _push_blob(self, layer: Layer) -> PushBlob:
        def opened() -> BinaryIO:
            return self._layers.open_blob(layer)

        return PushBlob(descriptor=layer.descriptor, source=layer.source, open=opened)

    def _opener(self, descriptor: Descriptor) -> Callable[[], BinaryIO]:
        return lambda: self._open(descriptor)

    def _write_digests(self, image: Assembled) -> None:
        digest = image.manifest.digest
        repositories = "".join(f"{name.name}@{digest}\n" for name in self._names)
        tags = "".join(f"{name}@{digest}\n" for name in self._names)
        for path, text in (
            (self._wanted.digest_file, digest),
            (self._wanted.image_name_with_digest_file, repositories),
            (self._wanted.image_name_tag_with_digest_file, tags),
        ):
            if path:
                _writing(path, _text_writer(text))


def _push_error(failures: list[tuple[Reference, Error]], destinations: int) -> PushError:
    if destinations == 1:
        target, error = failures[0]
        failed = PushError(f"built, but not pushed to {target}: {error}", hint=error.hint)
    else:
        lines = "".join(f"\n    {target}: {error}" for target, error in failures)
        failed = PushError(f"built, but {len(failures)} of {destinations} pushes failed:{lines}")
    failed.retryable = all(error.retryable for _, error in failures)
    return failed


def _text_writer(text: str) -> Callable[[str], None]:
    def write(path: str) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".digest-")
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)

    return write


def _writing(path: str, write: Callable[[str], None]) -> None:
    """Call `write` with parents made; what the system refuses becomes an UnfitError that names the file."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise UnfitError(f"cannot write {path}: {error.strerror}") from error
