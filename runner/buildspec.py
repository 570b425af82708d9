"""The values of an entry, whose shape is right and whose paths are whole, as the parts of a BuildSpec. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executor.spec import LayerOptions, OutputSpec, RegistryOptions, RetryPolicy, RootfsOptions
from runner.model import Overrides


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
        pull_retry=retry,
    )


def output_spec(values: Mapping[str, Any], retry: RetryPolicy) -> OutputSpec:
    """Where the image goes. Without destinations there is nothing to push."""
    destinations = tuple(values.get("destinations", ()))
    return OutputSpec(
        destinations=destinations,
        no_push=values.get("no_push", False) or not destinations,
        check_push=values.get("push", {}).get("check", True),
        push_retry=retry,
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
