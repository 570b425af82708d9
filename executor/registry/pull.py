"""From a reference to one image: through indexes to the manifest for a platform, and its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from executor.dataclass import dataclass
from executor.errors import ImageError
from executor.events import Sink, Warned
from executor.image.config import config_from_bytes
from executor.image.descriptor import Descriptor
from executor.image.manifest import Index, Manifest, parse_manifest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.image.verified import LARGEST_DOCUMENT
from executor.registry.client import FetchedManifest
from executor.registry.numbers import whole_number

_DEEPEST_INDEX = 4
_LOWEST_ARM = 5
_ARM64_RUNS_ARM = 8
_HIGHEST_LEVEL = 20
"""Variants count from v1; nobody has made so many."""
_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImage:
    """One image for one platform, verified. `reference` is pinned to `descriptor`, which is the manifest's."""

    reference: Reference
    descriptor: Descriptor
    manifest_bytes: bytes
    config_bytes: bytes


class ManifestSource(Protocol):
    """What an image is read from: a RegistryClient, or something that stands before one."""

    @property
    def sink(self) -> Sink:
        """Hears of warnings."""

    def get_manifest(self, reference: Reference) -> FetchedManifest:
        """See `RegistryClient.get_manifest`."""

    def open_blob(self, repository: str, descriptor: Descriptor) -> BinaryIO:
        """See `RegistryClient.open_blob`."""


def resolve(client: ManifestSource, reference: Reference, platform: Platform) -> ResolvedImage:
    """Find the image that `reference` names for `platform` and fetch its manifest and configuration.

    A reference to a single image is taken whatever its platform, with a warning, as BuildKit does. Raises
    ImageError that lists the platforms of an index without a fitting one, and what RegistryClient raises.
    """
    fetched = client.get_manifest(reference)
    from_index = False
    for _ in range(_DEEPEST_INDEX):
        parsed = parse_manifest(fetched.content, fetched.descriptor.media_type)
        if isinstance(parsed, Manifest):
            config = _read_config(client, reference, parsed)
            if not from_index:
                _warn_of_platform(client, reference, config, platform)
            pinned = reference.with_digest(fetched.descriptor.digest)
            return _resolved(pinned, fetched, config)
        from_index = True
        fetched = client.get_manifest(reference.with_digest(chosen(parsed, str(reference), platform).digest))
    raise ImageError(f"{reference} is an index of indexes more than {_DEEPEST_INDEX} deep")


def choose(entries: Sequence[Descriptor], platform: Platform) -> Descriptor | None:
    """The entry of an index that serves `platform` best, by containerd's order of preference; None without one.

    An index inside the index (an entry without platform) is the last resort.
    """
    images = [entry for entry in entries if entry.platform and _ATTESTATION not in entry.annotations]
    for acceptable in _preferences(platform.normalized()):
        for entry in images:
            if entry.platform and entry.platform.normalized() == acceptable:
                return entry
    return next((entry for entry in entries if entry.platform is None), None)


def chosen(index: Index, name: str, platform: Platform) -> Descriptor:
    """The entry of `index` for `platform`. Raises ImageError that lists what the image `name` has."""
    entry = choose(index.manifests, platform)
    if entry is None:
        known = sorted({str(e.platform) for e in index.manifests if e.platform and e.platform.os != "unknown"})
        raise ImageError(
            f"{name} has no image for {platform}", hint=f"it has {', '.join(known) or 'no images at all'}"
        )
    return entry


def _preferences(platform: Platform) -> Iterator[Platform]:
    """`platform` and those whose programs run on it too, best first (containerd, `platforms.Only`)."""
    os, architecture = platform.os, platform.architecture
    level = min(whole_number(platform.variant[1:]) or 0, _HIGHEST_LEVEL)
    yield platform
    if architecture == "amd64":
        yield from (Platform(os, "amd64", f"v{lower}") for lower in range(level - 1, 1, -1))
        yield Platform(os, "amd64")
        yield Platform(os, "386")
    if architecture == "arm64":
        yield Platform(os, "arm64")
        level = _ARM64_RUNS_ARM + 1
    if architecture in ("arm", "arm64"):
        yield from (Platform(os, "arm", f"v{lower}") for lower in range(level - 1, _LOWEST_ARM - 1, -1))


def _read_config(client: ManifestSource, reference: Reference, manifest: Manifest) -> bytes:
    if manifest.config.size > LARGEST_DOCUMENT:
        raise ImageError(f"the configuration of {reference} would have {manifest.config.size} bytes")
    with client.open_blob(reference.name, manifest.config) as stream:
        return stream.read()


def _warn_of_platform(client: ManifestSource, reference: Reference, config: bytes, platform: Platform) -> None:
    found = config_from_bytes(config).platform
    if not found.serves(platform):
        client.sink(Warned(message=f"{reference} is for {found}, not for {platform} as asked"))


def _resolved(reference: Reference, fetched: FetchedManifest, config: bytes) -> ResolvedImage:
    return ResolvedImage(
        reference=reference, descriptor=fetched.descriptor, manifest_bytes=fetched.content, config_bytes=config
    )
