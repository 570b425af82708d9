"""Whether the registries have what a build needs, and would take what it makes: asked before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from executor.build.survey.inspect import base_images
from executor.errors import Error, NotFoundError
from executor.events import Event
from executor.image.descriptor import Descriptor
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.push import check_push_permission
from executor.spec import BuildSpec


def unreachable(spec: BuildSpec, local: Collection[str]) -> list[tuple[str, str, Error]]:
    """What would fail: `base` or `destination`, its reference, and why. `local` are references not to ask for.

    Raises what `base_images` raises.
    """
    keychain = Keychain.from_environment(automatic=spec.registry.automatic_logins)
    bases = [Reference.parse(name) for name in base_images(spec) if name not in local]
    names = () if spec.output.no_push else spec.output.destinations
    with (
        RegistryClient(spec.registry, keychain, _unheard, "pull") as puller,
        RegistryClient(spec.registry, keychain, _unheard, "push", retry=spec.registry.pull_retry) as pusher,
    ):
        return [*_missing(puller, bases), *_forbidden(pusher, [Reference.parse(name) for name in names])]


def holds(spec: BuildSpec, digest: str) -> bool:
    """Whether every destination of `spec` is this very image now. Raises RegistryError if one does not answer."""
    names = [Reference.parse(name) for name in spec.output.destinations]
    with RegistryClient(
        spec.registry,
        Keychain.from_environment(automatic=spec.registry.automatic_logins),
        _unheard,
        "push",
        retry=spec.registry.pull_retry,
    ) as client:
        return all(_is(client.head_manifest(name), digest) for name in names)


def _is(found: Descriptor | None, digest: str) -> bool:
    return found is not None and found.digest == digest


def _missing(client: RegistryClient, bases: Collection[Reference]) -> Iterator[tuple[str, str, Error]]:
    for base in bases:
        try:
            if client.head_manifest(base) is None:
                raise NotFoundError(f"{base.registry} has no {base}", status=404)
        except Error as error:
            yield "base", str(base), error


def _forbidden(client: RegistryClient, destinations: Collection[Reference]) -> Iterator[tuple[str, str, Error]]:
    for destination in destinations:
        try:
            check_push_permission(client, destination)
        except Error as error:
            yield "destination", str(destination), error


def _unheard(_event: Event) -> None:
    """Tries that are repeated are no news here."""
