"""Build arguments that mean something to the builder itself: BuildKit's, and SOURCE_DATE_EPOCH.

SOURCE_DATE_EPOCH               the times that the image records; from the environment as with buildx.
                                `context`, a named context, a stage: when that was made (epochsource.py)
BUILDKIT_SYNTAX                 as `# syntax=`: nothing, the one frontend is built in
BUILDKIT_MULTI_PLATFORM         an index even of a single platform
BUILDKIT_CACHE_MOUNT_NS         a part of the ids of cache mounts
BUILDKIT_CONTEXT_KEEP_GIT_DIR   contexts that are repositories keep .git
BUILDKIT_DOCKERFILE_CHECK       the build checks, in place of `# check=`
BUILDKIT_SANDBOX_HOSTNAME       the name of the machine that commands see
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from executor.dataclass import replace
from executor.dockerfile.instructions import Dockerfile
from executor.dockerfile.runflags import parse_bool
from executor.dockerfile.stages import global_variables
from executor.errors import UsageError
from executor.rootfs.base import HOST_NAME
from executor.spec import BuildSpec

EPOCH = "SOURCE_DATE_EPOCH"
CHECK = "BUILDKIT_DOCKERFILE_CHECK"
_HOST_NAME = "BUILDKIT_SANDBOX_HOSTNAME"
_INDEX = "BUILDKIT_MULTI_PLATFORM"
_LONGEST_HOST_NAME = 64  # what the kernel takes
_IN_EFFECT = (
    EPOCH,
    "BUILDKIT_SYNTAX",
    _INDEX,
    "BUILDKIT_CACHE_MOUNT_NS",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    CHECK,
    _HOST_NAME,
)
_WITHOUT_EFFECT = (
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_BUILD_NAME",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
)


def builder_args() -> frozenset[str]:
    """The arguments that need no ARG to count, or are BuildKit's own and do not count here."""
    return frozenset((*_IN_EFFECT, *_WITHOUT_EFFECT))


def without_effect(build_args: Mapping[str, str]) -> list[str]:
    """Those of BuildKit's own arguments among `build_args` that do nothing here."""
    return [name for name in _WITHOUT_EFFECT if name in build_args]


def settled(spec: BuildSpec, dockerfile: Dockerfile, time_of: Callable[[str], int | None]) -> BuildSpec:
    """`spec` with one SOURCE_DATE_EPOCH: as field and as argument.

    An argument beats the field, which beats a default in the Dockerfile's head. `time_of` gives the seconds for
    what is no number: `context`, a named context, a stage. Where that is not known (None), there is no epoch.
    Raises what `time_of` raises, and UsageError for other arguments of the builder with a wrong value.
    """
    host_name(spec.build_args)
    if len(spec.platforms) > 1 and spec.build_args.get(_INDEX) and not is_set(spec.build_args, _INDEX):
        raise UsageError(f"{_INDEX} is off, and several platforms are asked for", hint="leave out one of the two")
    given = dict(spec.build_args)
    if spec.source_date_epoch is not None:
        given.setdefault(EPOCH, str(spec.source_date_epoch))
    text = given.get(EPOCH)
    if text is None:
        text = global_variables(dockerfile, given, {}).get(EPOCH, "")
    if text and not (text.isascii() and text.isdecimal()):
        made = time_of(text)
        text = given[EPOCH] = "" if made is None else str(max(made, 0))
    if not text:
        return replace(spec, build_args=given, source_date_epoch=None)
    from executor.epoch import parse_epoch

    return replace(spec, build_args=given, source_date_epoch=parse_epoch(text))


def latest_time(spec: BuildSpec) -> int | None:
    """The latest time that a file may have, and the one that the image records, in seconds; None: as they are."""
    return 0 if spec.source_date_epoch is None and spec.reproducible else spec.source_date_epoch


def host_name(build_args: Mapping[str, str]) -> str:
    """What the machine is called that commands see. Raises UsageError for a name that the kernel does not take."""
    name = build_args.get(_HOST_NAME) or HOST_NAME
    if len(name.encode()) > _LONGEST_HOST_NAME or not name.isprintable() or " " in name:
        raise UsageError(f"{_HOST_NAME}={name!r} is no host name", hint="at most 64 letters, without spaces")
    return name


def is_set(build_args: Mapping[str, str], name: str) -> bool:
    """The value of a switch. Raises UsageError when it is neither true nor false."""
    text = build_args.get(name)
    if not text:
        return False
    try:
        return parse_bool(text)
    except ValueError as error:
        raise UsageError(f"{name}={text!r} is neither true nor false") from error
