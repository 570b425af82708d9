"""Base images out of the folder that `warmer` fills: used when they are still what their names stand for."""

from __future__ import annotations

import os
from typing import BinaryIO

from executor.cache.warmed import DEFAULT_FOLDER, WarmedImage, WarmedImages
from executor.errors import AuthError, ImageError, NotFoundError, RegistryError
from executor.events import Noted, Sink, Warned
from executor.image.descriptor import Descriptor
from executor.image.manifest import single_manifest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.pull import ResolvedImage
from executor.spec import BuildSpec, RetryPolicy


def open_warmed(spec: BuildSpec, keychain: Keychain, sink: Sink) -> WarmedBases | None:
    """The folder of the build `spec`, None when there is none."""
    folder = spec.cache.folder or DEFAULT_FOLDER
    if not os.path.isdir(os.path.join(folder, "images")):
        return None
    client = RegistryClient(spec.registry, keychain, sink, "pull", retry=RetryPolicy())
    return WarmedBases(WarmedImages(folder, ttl=spec.cache.ttl), client, sink)


class WarmedBases:
    """What one build takes from the folder. `client` asks what a tag stands for now, once and without patience."""

    def __init__(self, images: WarmedImages, client: RegistryClient, sink: Sink) -> None:
        self._images = images
        self._client = client
        self._sink = sink

    def find(self, reference: Reference, platform: Platform) -> ResolvedImage | None:
        """The image for `reference`, None when there is none of it that can be used.

        Of a tag the registry is asked for the digest, no more; when it does not answer, the image serves as it is.
        """
        found = self._images.find(reference, platform)
        if found is None or not self._is_current(reference, found):
            return None
        try:
            manifest_bytes = self._images.read(found.manifest)
            config_bytes = self._images.read(single_manifest(manifest_bytes, str(reference)).config)
        except ImageError as error:
            self._sink(Warned(message=f"the warmed image {reference} cannot be used: {error.message}"))
            return None
        self._sink(Noted(message=f"{reference} is in {self._images.folder}"))
        return ResolvedImage(
            reference=reference.with_digest(found.manifest.digest),
            descriptor=found.manifest,
            manifest_bytes=manifest_bytes,
            config_bytes=config_bytes,
        )

    def open_blob(self, descriptor: Descriptor) -> BinaryIO | None:
        """A layer's compressed bytes; None when it is not in the folder, or damaged there."""
        return self._images.open_blob(descriptor)

    def _is_current(self, reference: Reference, found: WarmedImage) -> bool:
        if reference.digest is not None:
            return True
        try:
            named = self._client.head_manifest(reference)
        except NotFoundError:
            return False
        except (RegistryError, AuthError) as error:
            self._sink(Warned(message=f"the warmed image {reference} is used as it is: {error.message}"))
            return True
        return named is not None and named.digest == found.named
