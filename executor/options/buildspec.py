"""From the values of flags to the BuildSpec that they ask for, and to the parts of it that other commands need.

Modules for flags that one build in many has are imported when there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from executor.dockerfile.duration import parse_duration
from executor.errors import NotSupportedError, UsageError
from executor.sizes import parse_size
from executor.spec import (
    BuildSpec,
    CacheOptions,
    LayerOptions,
    OutputSpec,
    RegistryOptions,
    RetryPolicy,
    RootfsOptions,
    check_layers,
    check_mirror,
)

_HUB = "docker.io"


def spec_from_flags(values: Mapping[str, Any], environ: Mapping[str, str]) -> BuildSpec:
    """The build that the flags ask for. Raises UsageError and NotSupportedError."""
    destinations = values["destination"]
    if not (destinations or values["no_push"] or values["check"] or values["dryrun"]):
        raise UsageError("no --destination", hint="name where to push, or add --no-push")
    if values["materialize"]:
        raise NotSupportedError(
            "--materialize is not supported: after a build the container's own files are what they were",
            hint="to work among an image's files, run a container of it, or unpack what --tar-path writes",
        )
    dockerfile = "-" if values["dockerfile"] == "/dev/stdin" else values["dockerfile"]  # a pipe is no file
    if dockerfile == "-" and values["context"] == "tar://stdin":
        raise UsageError(
            "the Dockerfile and the context cannot both come on standard input",
            hint="put the Dockerfile into the archive, or give the context another way",
        )
    return BuildSpec(
        context=_context(values),
        context_sub_path=values["context_sub_path"],
        dockerfile=dockerfile,
        target=values["target"],
        build_args=build_args(values["build_arg"], environ),
        build_contexts=dict(_build_context(text) for text in values["build_context"]),
        labels=dict(_pair("--label", text) for text in values["label"]),
        annotations=dict(_pair("--annotation", text) for text in values["annotation"]),
        platforms=tuple(part for text in values["custom_platform"] for part in text.split(",") if part),
        reproducible=values["reproducible"],
        source_date_epoch=_epoch(environ),
        registry=registry_options(values),
        rootfs=_rootfs_options(values),
        output=output_spec(values),
        layers=_layer_options(values),
        cache=_cache_options(values),
        **(_secrets_and_agents(values, environ) if values["secret"] or values["ssh"] else {}),
    )


def _context(values: Mapping[str, Any]) -> str:
    context: str = values["context"]
    if values["bucket"]:
        from executor.options.bucketflag import context_of_bucket

        context = context_of_bucket(values["bucket"], context)
    if not context:  # often a variable of a pipeline that is not set: the working directory is not meant
        raise UsageError("--context is empty", hint="name a folder (. for the working directory) or a URL")
    if values["git"]:
        from executor.options.gitflags import with_git_options

        return with_git_options(context, values["git"])
    return context


def _secrets_and_agents(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    from executor.options.secretflags import parse_agents, parse_secrets

    return {"secrets": parse_secrets(values["secret"], environ), "ssh": parse_agents(values["ssh"])}


def build_args(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """NAME=VALUE as it stands; NAME alone takes the environment's value and is left out when that has none."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"--build-arg {text!r} has no name")
        if equals:
            values[name] = value
        elif name in environ:
            values[name] = environ[name]
    return values


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{flag} {text!r} is not NAME=VALUE")
    return name, value


def _build_context(text: str) -> tuple[str, str]:
    name, value = _pair("--build-context", text)
    layout = "oci-layout://"
    if value.startswith(layout):
        return name, layout + _absolute(value.removeprefix(layout))
    return name, value if "://" in value or not os.path.isdir(value) else os.path.abspath(value)


def _epoch(environ: Mapping[str, str]) -> int | None:
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    from executor.epoch import parse_epoch

    return parse_epoch(text)


def registry_options(values: Mapping[str, Any]) -> RegistryOptions:
    """How the flags say that registries are reached. Raises UsageError."""
    retries = max(values["image_download_retry"], values["image_fs_extract_retry"])
    return RegistryOptions(
        insecure=values["insecure"],
        insecure_pull=values["insecure_pull"],
        insecure_registries=values["insecure_registry"],
        skip_tls_verify=values["skip_tls_verify"],
        skip_tls_verify_pull=values["skip_tls_verify_pull"],
        skip_tls_verify_registries=values["skip_tls_verify_registry"],
        certificates=dict(_pair("--registry-certificate", text) for text in values["registry_certificate"]),
        client_certificates=dict(_client_certificate(text) for text in values["registry_client_cert"]),
        mirrors=_mirrors(values),
        mirrors_only=values["skip_default_registry_fallback"],
        automatic_logins=_automatic_logins(values["credential_helpers"]),
        **({"pull_retry": RetryPolicy(retries=retries)} if retries else {}),
    )


def _automatic_logins(names: Sequence[str]) -> bool:
    if not names:
        return True
    from executor.options.credentialsflag import takes_automatic_logins

    return takes_automatic_logins(names)


def _mirrors(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """By host; --registry-mirror is for Docker Hub, whose mirrors of --registry-map come first."""
    mapped = [pair for text in values["registry_map"] for pair in _map(text)]
    mirrors: dict[str, tuple[str, ...]] = {}
    for host, mirror in [*mapped, *((_HUB, mirror) for mirror in values["registry_mirror"])]:
        check_mirror(mirror)
        mirrors[host] = (*mirrors.get(host, ()), mirror)
    return mirrors


def _map(text: str) -> Iterator[tuple[str, str]]:
    """The (host, mirror) of `HOST=MIRROR[;MIRROR…]`; after a `;` another HOST= may come."""
    host = ""
    for part in filter(None, text.split(";")):
        before, equals, mirror = part.rpartition("=")
        host = before if equals else host
        if not host or not mirror:
            raise UsageError(f"--registry-map {text!r} is not HOST=MIRROR[;MIRROR…]")
        yield host, mirror


def _client_certificate(text: str) -> tuple[str, tuple[str, str]]:
    host, files = _pair("--registry-client-cert", text)
    certificate, comma, key = files.partition(",")
    if not comma or not certificate or not key:
        raise UsageError(f"--registry-client-cert {text!r} is not HOST=CERTIFICATE,KEY")
    return host, (certificate, key)


def _rootfs_options(values: Mapping[str, Any]) -> RootfsOptions:
    return RootfsOptions(
        driver=values["rootfs"],
        home=values["kaniko_dir"],
        snapshot_mode=values["snapshot_mode"],
        single_snapshot=values["single_snapshot"],
        ignore_paths=(*values["ignore_path"], *(("/var/run",) if values["ignore_var_run"] else ())),
    )


def _layer_options(values: Mapping[str, Any]) -> LayerOptions:
    try:
        level = int(values["compression_level"])
    except ValueError:
        raise UsageError(f"--compression-level {values['compression_level']!r} is not a number") from None
    layers = LayerOptions(compression=values["compression"], level=None if level == -1 else level)
    check_layers(layers, values["image_format"])
    return layers


def _cache_options(values: Mapping[str, Any]) -> CacheOptions:
    places = (*values["cache_repo"], *values["cache_from"])
    if values["cache"] and not places and not values["destination"] and not values["cache_dir"]:
        raise UsageError("--cache has no place", hint="name one with --cache-repo, or a --destination")
    if places:
        from executor.cache.places import check_place

        for text in places:
            check_place(text)
    return CacheOptions(
        enabled=values["cache"],
        repositories=tuple(map(_absolute_place, values["cache_repo"])),
        sources=tuple(map(_absolute_place, values["cache_from"])),
        folder=_absolute(values["cache_dir"]),
        ttl=cache_ttl(values),
        size=parse_size(values["cache_size"]) if values["cache_size"] else None,
        copy_layers=values["cache_copy_layers"],
        run_layers=values["cache_run_layers"],
        push=not values["no_push_cache"],
    )


def cache_ttl(values: Mapping[str, Any]) -> float:
    """The seconds of --cache-ttl. Raises UsageError."""
    try:
        return parse_duration(values["cache_ttl"]) / 1e9
    except ValueError as error:
        raise UsageError(f"--cache-ttl: {error}") from error


def _absolute_place(text: str) -> str:
    """A folder of the layer cache by its whole path; a repository as it is."""
    kind, colon, path = text.partition(":")
    return f"{kind}:{_absolute(path)}" if colon and kind in ("oci", "dir") else text


def output_spec(values: Mapping[str, Any]) -> OutputSpec:
    """Where the flags say that the image goes, and how."""
    return OutputSpec(
        destinations=values["destination"],
        no_push=values["no_push"],
        check_push=not values["skip_push_permission_check"],
        push_retry=RetryPolicy(retries=values["push_retry"]),
        keep_immutable_tags=values["push_ignore_immutable_tag_errors"],
        image_format=values["image_format"],
        tar_path=_absolute(values["tar_path"]),
        oci_layout_path=_absolute(values["oci_layout_path"]),
        digest_file=_absolute(values["digest_file"]),
        image_name_with_digest_file=_absolute(values["image_name_with_digest_file"]),
        image_name_tag_with_digest_file=_absolute(values["image_name_tag_with_digest_file"]),
    )


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""
