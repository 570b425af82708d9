"""The values of an entry, whose shape is right and whose paths are whole, as the parts of a BuildSpec. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from executor.errors import UsageError
from executor.spec import LayerOptions, OutputSpec, RegistryOptions, RetryPolicy, RootfsOptions, check_mirror
from runner.model import Overrides

_HUB = "docker.io"


def registry_options(values: Mapping[str, Any], retry: RetryPolicy) -> RegistryOptions:
    """How registries are reached; one key stands for pulls and pushes."""
    insecure, skip_verify = values.get("insecure", False), values.get("skip_tls_verify", False)
    clients = values.get("registry_client_certificates", {})
    return RegistryOptions(
        insecure=insecure,
        insecure_pull=insecure,
        insecure_registries=tuple(values.get("insecure_registries", ())),
        skip_tls_verify=skip_verify,
        skip_tls_verify_pull=skip_verify,
        skip_tls_verify_registries=tuple(values.get("skip_tls_verify_registries", ())),
        certificates=dict(values.get("registry_certificates", {})),
        client_certificates={host: (pair["certificate"], pair["key"]) for host, pair in clients.items()},
        mirrors=_mirrors(values),
        mirrors_only=values.get("skip_default_registry_fallback", False),
        pull_retry=retry,
    )


def _mirrors(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    mirrors = {host: tuple(names) for host, names in values.get("registry_map", {}).items()}
    hub = tuple(values.get("registry_mirrors", ()))
    mirrors |= {_HUB: (*mirrors.get(_HUB, ()), *hub)} if hub else {}
    return mirrors


def wrong_mirrors(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], UsageError]]:
    """The paths of what is no mirror, and why not."""
    named: dict[tuple[str | int, ...], Sequence[str]] = {
        ("registry_map", host): names for host, names in values.get("registry_map", {}).items()
    }
    named["registry_mirrors",] = values.get("registry_mirrors", ())
    for path, names in named.items():
        for index, name in enumerate(names):
            try:
                check_mirror(name)
            except UsageError as error:
                yield (*path, index), error


def output_spec(values: Mapping[str, Any], retry: RetryPolicy) -> OutputSpec:
    """Where the image goes. Without destinations there is nothing to push."""
    destinations = tuple(values.get("destinations", ()))
    return OutputSpec(
        destinations=destinations,
        no_push=values.get("no_push", False) or not destinations,
        check_push=values.get("push", {}).get("check", True),
        push_retry=retry,
        keep_immutable_tags=values.get("push", {}).get("ignore_immutable_tags", False),
        image_format=values.get("image_format", "oci"),
        oci_layout_path=values.get("oci_layout", ""),
        tar_path=values.get("tar_path", ""),
        digest_file=values.get("digest_file", ""),
        image_name_with_digest_file=values.get("image_name_with_digest_file", ""),
        image_name_tag_with_digest_file=values.get("image_name_tag_with_digest_file", ""),
    )


def rootfs_options(values: Mapping[str, Any], overrides: Overrides) -> RootfsOptions:
    """How root filesystems are made; the command line's driver wins."""
    return RootfsOptions(
        driver=overrides.rootfs or values.get("rootfs", "auto"),
        home=overrides.home,
        snapshot_mode=values.get("snapshot_mode", "full"),
        single_snapshot=values.get("single_snapshot", False),
        ignore_paths=tuple(values.get("ignore_paths", ())),
    )


def layer_options(values: Mapping[str, Any]) -> LayerOptions:
    """How new layers are compressed."""
    return LayerOptions(compression=values.get("compression", "gzip"), level=values.get("compression_level"))
