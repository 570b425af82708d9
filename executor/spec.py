"""What a build is asked to do, as frozen values: made by `executor.options` of flags, by the runner of YAML.

A BuildSpec crosses a process border as JSON: `to_json` and `build_spec_from_json` are exact inverses. No I/O here.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from executor.dataclass import asdict, dataclass, field, is_dataclass
from executor.errors import InternalError, UsageError

RootfsChoice = Literal["auto", "overlay", "chroot", "in-place"]
ProvenDriver = Literal["", "overlay"]
PushPhase = Literal["content", "whole"]
SnapshotMode = Literal["full", "redo", "time"]
Compression = Literal["gzip", "zstd"]
ImageFormat = Literal["oci", "docker"]

_MIRROR = re.compile(r"[A-Za-z0-9.\[\]:-]+(?:/[a-z0-9._-]+)*/?")
_LEVELS: Mapping[Compression, range] = {"gzip": range(10), "zstd": range(1, 23)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a retryable failure is tried again. Times are seconds.

    `retries` counts tries after the first. Waits are exponential with full jitter, at most `max_wait` each;
    none starts after `deadline` seconds (0: no deadline).
    """

    retries: int = 0
    initial_wait: float = 1.0
    max_wait: float = 30.0
    deadline: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """How registries are reached. Hosts are `host` or `host:port` as in an image reference.

    `insecure` allows plain HTTP when pushing, `insecure_pull` when pulling, `insecure_registries` both, for the
    named hosts; the `skip_tls_verify*` fields follow the same scheme. `certificates` maps a host to a CA file,
    `client_certificates` a host to (certificate, key) files. `mirrors` maps a host to those (`host[/path]`) that
    pulls ask before it, in order; with `mirrors_only` it is not asked itself. Without `automatic_logins` files
    alone say who we are, docker's and podman's, and not the variables of a CI job.
    """

    insecure: bool = False
    insecure_pull: bool = False
    insecure_registries: tuple[str, ...] = ()
    skip_tls_verify: bool = False
    skip_tls_verify_pull: bool = False
    skip_tls_verify_registries: tuple[str, ...] = ()
    certificates: Mapping[str, str] = field(default_factory=dict)
    client_certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mirrors_only: bool = False
    automatic_logins: bool = True
    pull_retry: RetryPolicy = RetryPolicy(retries=3)


def check_mirror(text: str) -> None:
    """Raise UsageError unless `text` is `host[:port][/path]`."""
    if not _MIRROR.fullmatch(text):
        raise UsageError(f"{text!r} is not a mirror", hint="HOST, HOST:PORT or one with a path, and no https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """Where the built image goes. Paths are absolute, '' when not wanted.

    `destinations` are image references; `no_push` leaves them as names only (in the tar and the digest files).
    `check_push` asks the registries for permission before the build. `keep` names the folder, in the store's for
    such images, where the image waits until all destinations have it, '' for none; with `defer` the tags are left
    to a later PushSpec, and only blobs are sent. With `keep_immutable_tags` a registry's refusal to move a tag is
    a warning.
    """

    destinations: tuple[str, ...] = ()
    no_push: bool = False
    check_push: bool = True
    push_retry: RetryPolicy = RetryPolicy()
    keep: str = ""
    defer: bool = False
    keep_immutable_tags: bool = False
    image_format: ImageFormat = "oci"
    tar_path: str = ""
    oci_layout_path: str = ""
    digest_file: str = ""
    image_name_with_digest_file: str = ""
    image_name_tag_with_digest_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOptions:
    """How new layers are compressed. `level` is the method's own scale, None for the usual level.

    gzip: 0 (stored) to 9; zstd: 1 to 22, those from 6 on need more than 100 MB, above 19 hundreds.
    """

    compression: Compression = "gzip"
    level: int | None = None


def check_layers(layers: LayerOptions, image_format: ImageFormat) -> None:
    """Raise UsageError for a level that there is not, or a compression that the format has no name for."""
    levels = _LEVELS[layers.compression]
    if layers.level is not None and layers.level not in levels:
        raise UsageError(
            f"{layers.compression} has no compression level {layers.level}",
            hint=f"its levels are {levels.start} to {levels.stop - 1}",
        )
    if layers.compression == "zstd" and image_format == "docker":
        raise UsageError(
            "images in Docker's format cannot have zstd layers",
            hint="use gzip, or the image format oci, which has a media type for them",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RootfsOptions:
    """Where and how root filesystems are made.

    `home` is the folder of the session's store (blobs, unpacked layers, working roots). `ignore_paths` are
    absolute paths inside the image that never enter a snapshot. With `beside` other builds go on at the same time,
    so that none may take `/` over. `proven` is a driver that another build of the run has found to work.
    """

    driver: RootfsChoice = "auto"
    home: str = ""
    snapshot_mode: SnapshotMode = "full"
    single_snapshot: bool = False
    ignore_paths: tuple[str, ...] = ()
    beside: bool = False
    proven: ProvenDriver = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """The layer cache: no layer is cached without `enabled`.

    `folder` holds warmed base images, and layers below `layers/`; '': base images are looked for in the usual one.

    Places are repositories, `oci:/path` or `dir:/path`. `repositories` are read, and with `push` written;
    `sources` are read only, after them. `ttl` is the age in seconds from which a layer no longer counts. `size` is
    what a folder may keep, in bytes; 0: no bound, None: what its disk has room for.
    `copy_layers` and `run_layers` say which instructions are cached; WORKDIR always is.
    """

    enabled: bool = False
    folder: str = ""
    repositories: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    ttl: float = 14 * 24 * 3600.0
    size: int | None = None
    copy_layers: bool = False
    run_layers: bool = True
    push: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSource:
    """Where a secret is: a file, or a variable of the build's environment. Its value is in no spec."""

    id: str
    path: str = ""
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """One image to build.

    `context` is a directory or a URL (`dir://`, `tar://`, `git://`, …). `dockerfile` is a path, looked up
    relative to the working directory and then to the context; `dockerfile_text` is the text itself and counts
    before it. `build_contexts` maps names to directories, git or http URLs, `docker-image://REFERENCE` or
    `oci-layout://PATH[:TAG|@DIGEST]`; relative paths start at the working directory. `platforms` are
    `os/arch[/variant]`, none for this machine's; several make an index. `annotations` have buildx's keys:
    `[KIND[PLATFORM]:]KEY`, a kind being manifest, index, manifest-descriptor or index-descriptor. `local_images`
    maps references built earlier in the session to manifest digests in the store, so that they are neither pulled
    nor looked up. `context_excludes` are absolute paths that are never part of
    the context, such as reports that are being written. `source_date_epoch` is in seconds; None: not set.
    `ssh` maps ids of ssh agents to their sockets, '' for the one that SSH_AUTH_SOCK names. `tell_inputs` asks for
    an InputsFound also without a cache.
    """

    context: str
    dockerfile: str = "Dockerfile"
    dockerfile_text: str | None = None
    context_sub_path: str = ""
    context_excludes: tuple[str, ...] = ()
    name: str = ""
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    build_contexts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    reproducible: bool = False
    source_date_epoch: int | None = None
    registry: RegistryOptions = RegistryOptions()
    rootfs: RootfsOptions = RootfsOptions()
    output: OutputSpec = OutputSpec()
    layers: LayerOptions = LayerOptions()
    cache: CacheOptions = CacheOptions()
    secrets: tuple[SecretSource, ...] = ()
    ssh: Mapping[str, str] = field(default_factory=dict)
    tell_inputs: bool = False
    local_images: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values (objects, arrays, strings, numbers, booleans, null)."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSpec:
    """An image that a build has left in the folder `keep` of the store in `home`, to be pushed where that says.

    `phase`: "content" sends the blobs, which nobody sees, "whole" also manifests and tags.
    """

    name: str
    keep: str
    home: str = ""
    phase: PushPhase = "whole"

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingImage:
    """An image in the store that registries lack. Of one that is damaged nothing but `keep` is known.

    `size` is in bytes.
    """

    keep: str
    name: str = ""
    digest: str = ""
    size: int = 0
    destinations: tuple[str, ...] = ()


Job: TypeAlias = BuildSpec | PushSpec
"""What a worker process is given to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSpec:
    """What to remove of a store, none of it while a running process uses it; or of local layer caches.

    `keep` are the bytes that may stay, what was used last first; None: no bound. What was not used for
    `older_than` seconds goes in any case, and all of it with `everything`. With `dry_run` nothing does. `caches`
    are `oci:/path` or `dir:/path`, with what counts where nothing else is said; with any the store is left alone.
    """

    keep: int | None = None
    older_than: float | None = None
    everything: bool = False
    dry_run: bool = False
    caches: tuple[tuple[str, CacheOptions], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """How many of which kind went, the bytes that this freed, and those that are left."""

    removed: Mapping[str, int]
    freed: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """What one instruction cost: its text, seconds, whether it made a layer and of how many bytes (compressed).

    `cached` tells that the layer cache had its result, so that it was not carried out.
    """

    stage: int
    instruction: str
    seconds: float
    layer_digest: str = ""
    layer_size: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformResult:
    """The image for one platform; `size` is the sum of its compressed layers in bytes."""

    platform: str
    digest: str
    config_digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A built image. `digest` is its manifest's, `size` the sum of its compressed layers in bytes.

    `descriptor` is what points at it, as OCI's JSON: mediaType, digest, size of the document, annotations.
    Of several platforms, `digest` is the index's, `config_digest` '', and `platform` names all, with commas; the
    images one by one are `manifests`. `pushed` are the `repo:tag@digest` names that registries now hold.
    """

    digest: str
    descriptor: Mapping[str, Any]
    config_digest: str
    size: int
    platform: str
    driver: str
    seconds: float
    destinations: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    manifests: tuple[PlatformResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return asdict(self)


def build_spec_from_json(document: Mapping[str, Any]) -> BuildSpec:
    """The inverse of `BuildSpec.to_json`. Raises InternalError on a document of another shape."""
    return _from_json(BuildSpec, document)


def job_to_json(job: Job) -> dict[str, Any]:
    """The job as JSON values: `{"build": …}` or `{"push": …}`."""
    return {"build" if isinstance(job, BuildSpec) else "push": job.to_json()}


def job_from_json(document: Mapping[str, Any]) -> Job:
    """The inverse of `job_to_json`. Raises InternalError on a document of another shape."""
    match document:
        case {"build": build}:
            return build_spec_from_json(build)
        case {"push": push}:
            return _from_json(PushSpec, push)
        case _:
            raise InternalError(f"a job is a build or a push, not {', '.join(document) or 'nothing'}")


def output_spec_from_json(document: Mapping[str, Any]) -> OutputSpec:
    """An OutputSpec from its JSON values. Raises InternalError on a document of another shape."""
    return _from_json(OutputSpec, document)


def registry_options_from_json(document: Mapping[str, Any]) -> RegistryOptions:
    """RegistryOptions from their JSON values. Raises InternalError on a document of another shape."""
    return _from_json(RegistryOptions, document)


def build_result_from_json(document: Mapping[str, Any]) -> BuildResult:
    """The inverse of `BuildResult.to_json`. Raises InternalError on a document of another shape."""
    return _from_json(BuildResult, document)


_T = TypeVar("_T")


@functools.cache
def _hints_of(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _from_json(kind: type[_T], document: Mapping[str, Any]) -> _T:
    hints = _hints_of(kind)  # type: ignore[arg-type]  # for mypy a class may not be hashable
    unknown = set(document) - set(hints)
    if unknown:
        raise InternalError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**{name: _value(hints[name], value) for name, value in document.items()})


def _value(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _from_json(hint, value)
    if typing.get_origin(hint) is not tuple:
        return {k: _mapped(hint, v) for k, v in value.items()} if isinstance(value, dict) else value
    item = typing.get_args(hint)
    return tuple(_value(item[0], v) for v in value) if item[-1] is Ellipsis else tuple(value)


def _mapped(hint: Any, value: Any) -> Any:
    arguments = typing.get_args(hint)
    return _value(arguments[1], value) if len(arguments) == 2 else value
