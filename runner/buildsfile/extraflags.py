"""The `flags` of an entry: flags of `executor` laid over what the keys say, never against them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from executor.errors import UsageError
from executor.spec import BuildSpec

# What decides the order of the list or what two images would fight for is said by keys only.
_KEYS_ONLY = {
    "context": "context",
    "destination": "destinations",
    "digest-file": "digest_file",
    "dockerfile": "dockerfile",
    "image-name-tag-with-digest-file": "image_name_tag_with_digest_file",
    "image-name-with-digest-file": "image_name_with_digest_file",
    "no-push": "no_push",
    "oci-layout-path": "oci_layout",
    "tar-path": "tar_path",
}
_RUN_OPTIONS = {
    "check": "command `lint`",
    "dryrun": "command `plan`",
    "events-fd": "--events-file",
    "events-file": "--events-file",
    "kaniko-dir": "--home",
    "log-format": "--log-format",
    "log-timestamp": "--log-format json",
    "store-size": "--store-size",
    "verbosity": "-q or -v",
}
_KEYS = {
    "annotation": "annotations",
    "build-arg": "args",
    "cache-copy-layers": "cache",
    "cache-repo": "cache",
    "cache-run-layers": "cache",
    "cache-size": "cache",
    "cache-ttl": "cache",
    "custom-platform": "platforms",
    "ignore-path": "ignore_paths",
    "image-download-retry": "pull",
    "image-fs-extract-retry": "pull",
    "ignore-var-run": "ignore_paths",
    "insecure-pull": "insecure",
    "insecure-registry": "insecure_registries",
    "label": "labels",
    "no-push-cache": "cache",
    "push-ignore-immutable-tag-errors": "push",
    "push-retry": "push",
    "registry-certificate": "registry_certificates",
    "registry-client-cert": "registry_client_certificates",
    "registry-mirror": "registry_mirrors",
    "secret": "secrets",
    "skip-push-permission-check": "push",
    "skip-tls-verify-pull": "skip_tls_verify",
    "skip-tls-verify-registry": "skip_tls_verify_registries",
}


def with_flags(spec: BuildSpec, words: Sequence[str], keys: Collection[str]) -> BuildSpec:
    """The build with the flags `words` as well; `keys` are those of the entry.

    Raises UsageError for flags that are wrong, that only a key can say, or that say again what a key does.
    """
    from runner.executor import given_flags, overlaid

    given = given_flags(words)
    for name in given:
        if name in _RUN_OPTIONS:
            raise UsageError(f"--{name} is for the whole run", hint=f"use krunner's {_RUN_OPTIONS[name]}")
        if name in _KEYS_ONLY:
            raise UsageError(f"--{name} cannot be a flag here", hint=f"use the key `{_KEYS_ONLY[name]}`")
        key = _KEYS.get(name, name.replace("-", "_"))
        if key in keys:
            raise UsageError(f"--{name} and the key `{key}` are about the same thing", hint="use the key alone")
    return overlaid(spec, given)
