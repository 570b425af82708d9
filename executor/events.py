"""What happens during a build, as values; the core emits them, sinks (`logsinks.py`, the runner) show them.

Each event is a frozen dataclass whose class name is its JSON `type`. A Sink is any callable that takes one; it may
be called from several threads at once and must not raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias

from executor.dataclass import asdict, dataclass
from executor.errors import Error, InvalidFileError, Location

EVENTS_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStarted:
    """A build begins. `name` is the image's name in the list, or ''."""

    name: str
    dockerfile: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverChosen:
    """The root filesystem driver in use, and why the ones before it in the order were not taken."""

    driver: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullStarted:
    """An image is being read from a registry or from the session's store."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFinished:
    """What an image consists of is known; a build fetches its layers when it needs them, the warmer has them.

    `size` sums its layers, as they are compressed.
    """

    reference: str
    digest: str
    layers: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerUnpacked:
    """A layer that a root filesystem needed is unpacked. `size` is of the compressed blob.

    `downloaded`: it was not in the store. `seconds` is from the first byte asked for to the last one unpacked.
    """

    digest: str
    size: int
    downloaded: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage begins; `total` counts the stages that this build needs, `position` from 1.

    A stage is known by index and platform: a build for several platforms has it several times, maybe at once.
    """

    index: int
    name: str
    base: str
    position: int
    total: int
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """An instruction begins; `position` counts from 1 within its stage."""

    stage: int
    position: int
    total: int
    instruction: str
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """An instruction is done. `layer_digest` is '' when it made no layer, or one that is still being written:
    LayerWritten tells of that. Sizes are compressed bytes. `cached`: the layer cache had its result.
    """

    stage: int
    position: int
    instruction: str
    seconds: float
    layer_digest: str = ""
    layer_size: int = 0
    cached: bool = False
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWritten:
    """What the step at `position` changed is now a layer, perhaps when later steps have begun.

    `seconds`: to find the changes, archive, compress and digest them; `position` is 0 for a whole stage's layer.
    `meanwhile`: the step was done before; else StepFinished tells of the layer too.
    """

    stage: int
    position: int
    digest: str
    size: int
    seconds: float
    platform: str = ""
    meanwhile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLookedUp:
    """The layer cache was asked for an instruction's result. `place` has it; '' when none does or needs to."""

    instruction: str
    key: str
    hit: bool
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsFound:
    """What the build reads is known. `inputs` digests all that decides what is in the image, '' if unknown.

    `steps` has the steps that change files by their keys: stage, platform, instruction, and the document that the
    key digests.
    """

    inputs: str
    steps: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutput:
    """One line that the command of a RUN wrote, without its newline; `stage` and `platform` are the RUN's."""

    line: str
    stage: int = 0
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushStarted:
    """A push to one destination begins."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPushed:
    """A repository (`registry/repository`) has a blob, maybe before the push: layers go out while steps run."""

    repository: str
    digest: str
    size: int
    how: Literal["sent", "mounted", "existing"]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAdvanced:
    """`done` of `total` bytes of a large blob have come or gone; told about twice a second."""

    direction: Literal["pull", "push"]
    digest: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFinished:
    """A destination has the image. Counts of blobs: sent, mounted from another repository, already there."""

    reference: str
    digest: str
    sent: int
    mounted: int
    existing: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled:
    """Something temporary failed and will be tried again after `wait` seconds."""

    action: str
    error: str
    attempt: int
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something the user should know that does not stop the build."""

    message: str
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Detail for `--verbosity=debug`."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuilt:
    """The image is complete in the store, before any push."""

    digest: str
    size: int
    layers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSucceeded:
    """The last event of a build that went well; `result` is BuildResult.to_json()."""

    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFailed:
    """The last event of a build that failed. `kind` is the error's class name.

    `file` and `line` are the place in the user's file that the error is about ('' and 0: none). `excerpt` are its
    lines, marked, where the message does not quote them itself.
    """

    kind: str
    message: str
    hint: str
    exit_code: int
    retryable: bool
    file: str = ""
    line: int = 0
    excerpt: str = ""

    @classmethod
    def of(cls, error: Error) -> BuildFailed:
        """The event that tells of `error`; of several faults in a file the place is the first one's."""
        places = [d.location for d in error.diagnostics] if isinstance(error, InvalidFileError) else []
        place = error.location or next(iter(places), Location(""))
        return cls(
            kind=type(error).__name__,
            message=str(error),
            hint=error.hint,
            exit_code=error.exit_code,
            retryable=error.retryable,
            file=place.file,
            line=place.line,
            excerpt=error.excerpt,
        )


Event: TypeAlias = (
    BuildStarted
    | DriverChosen
    | PullStarted
    | PullFinished
    | LayerUnpacked
    | StageStarted
    | StepStarted
    | StepFinished
    | LayerWritten
    | CacheLookedUp
    | InputsFound
    | CommandOutput
    | PushStarted
    | BlobPushed
    | TransferAdvanced
    | PushFinished
    | RetryScheduled
    | Warned
    | Noted
    | ImageBuilt
    | BuildSucceeded
    | BuildFailed
)

_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in Event.__args__}


class Sink(Protocol):
    """Takes events. Called from any thread; never raises."""

    def __call__(self, event: Event, /) -> None:
        """Show, store or forward one event."""


def discard(_event: Event) -> None:
    """The sink that shows nothing."""


def to_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object whose `type` is the event's class name."""
    return {"type": type(event).__name__, **asdict(event)}


def from_json(document: Mapping[str, Any]) -> Event:
    """The inverse of `to_json`. Raises KeyError for a type this version does not know."""
    fields = dict(document)
    event: Event = _KINDS[fields.pop("type")](**fields)
    return event
