"""Every error a user can meet, in one tree; each knows its exit code, whether to retry, and a way out.

    Error                     1   a build failed
    ├── UsageError            2   a wrong flag or flag value
    ├── NotSupportedError     2   valid input that this version does not execute; names the feature
    ├── InvalidFileError      2   a file with faults, all of them listed (Dockerfile, builds file, config.json)
    │   └── FaultyStepsError  1   instructions that cannot be carried out here and now, found before the first step
    ├── StepError             1   an instruction failed
    │   └── RunError          n   the command of a RUN failed; `executor` exits with its status
    ├── ContextError          1   the build context cannot be had or lacks a file
    ├── ImageError            1   an image or layer is malformed, or not what its digest says
    ├── RegistryError         1   a registry refused (75 when it may be retried)
    │   ├── AuthError         1   401 or 403
    │   └── NotFoundError     1   404
    ├── PushError             3   built, but not (fully) pushed (75 when all that failed may be retried)
    ├── UnfitError            4   the machine is unfit: no mounts, no disk, a root that cannot be cleaned
    ├── TimedOutError         1   the time that an image may take is over
    ├── StoppedError        130   SIGINT (130) or SIGTERM (143)
    └── InternalError        70   a bug of ours

The codes are documented for users in docs/exit-codes.md. Only `retryable` decides what tenacity retries.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from executor.dataclass import dataclass

_ROOM = "free some (inodes count too), or name a folder on another disk in KRUNNER_HOME"
_DISK = "name a folder on another disk in KRUNNER_HOME"
_FILES = "raise the limit of open files (ulimit -n)"
_PROCESSES = "raise the limit of processes (ulimit -u, or that of the pod)"
_MEMORY = "allow this process, or its container, more memory"
_LACKING: Mapping[int, str] = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _DISK,
    errno.EIO: _DISK,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EAGAIN: _PROCESSES,
    errno.ENOMEM: _MEMORY,
}
"""What a machine runs out of, or a disk cannot do any more, whatever was being done, and the way out."""
_NO_THREAD = "can't start new thread"  # all that threading says
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys in place of showing it (all control characters but tab and newline), what turns the
direction of a line (Unicode's UAX 9), and bytes that were no UTF-8."""
_USERINFO = re.compile(
    r"(?:(?<=http://)|(?<=https://))[^\s/]+(?=@)|(?:(?<=git://)|(?<=ssh://))[^\s/:@]*:[^\s/]+(?=@)", re.IGNORECASE
)
"""What stands before the host of a URL. An http URL may have a token as its user; `ssh://git@` is no secret."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text file. `line` and `column` count from 1; 0 means unknown. `end_line` is inclusive."""

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault in a file: where, what, the key path or source lines it concerns, and a way out."""

    location: Location
    message: str
    path: str = ""
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        message = without_passwords(self.message)
        lines = [visible(f"{self.location}: {self.path + ': ' if self.path else ''}{message}")]
        if self.excerpt:
            lines += [f"    {text}" for text in visible(without_passwords(self.excerpt)).split("\n")]
        if self.hint:
            lines.append(f"    hint: {visible(self.hint)}")
        return "\n".join(lines)


def visible(text: str) -> str:
    """`text` with its control characters written out, as in `\\x1b`: for what is quoted from files and names."""
    return _UNSEEN.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def without_passwords(text: str) -> str:
    """`text` with who its http URLs log in as, and the passwords of its git and ssh URLs, replaced by `***`."""
    return _USERINFO.sub("***", text)


def described(message: str, excerpt: str, hint: str, *, indent: str = "    ") -> str:
    """A failure in words: the message, then the lines of the file that it is about, then the way out."""
    lines = [*filter(None, excerpt.split("\n")), *([f"hint: {hint}"] if hint else [])]
    return "\n".join([message, *(indent + line for line in lines)])


class Error(Exception):
    """Base of all errors shown to users. `str(error)` is the message; no secret may be in it.

    Text of files may be quoted in message, hint and place: passwords in URLs are masked (`without_passwords`), and
    what a terminal would obey is written out (`visible`).
    `excerpt` are the lines of the file at `location`, marked, once somebody who has read it adds them.
    """

    exit_code = 1
    retryable = False

    def __init__(self, message: str, *, hint: str = "", location: Location | None = None) -> None:
        self.message = visible(without_passwords(message))
        super().__init__(self.message)
        self.hint = visible(without_passwords(hint))
        self.location = location
        self.excerpt = ""

    def __str__(self) -> str:
        return f"{visible(str(self.location))}: {self.message}" if self.location else self.message

    def describe(self) -> str:
        """The message as a user reads it: place, text and, on lines of their own, the excerpt and the way out."""
        return described(str(self), self.excerpt, self.hint)


class UsageError(Error):
    """A flag, an option or a value of one is wrong."""

    exit_code = 2


class NotSupportedError(Error):
    """The input is valid, but this version does not execute it. The message names the feature."""

    exit_code = 2


class InvalidFileError(Error):
    """A file has faults. `diagnostics` holds every one that could be found in one reading."""

    exit_code = 2

    def __init__(self, diagnostics: Sequence[Diagnostic], *, hint: str = "") -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(d) for d in self.diagnostics), hint=hint)


class FaultyStepsError(InvalidFileError):
    """Instructions that cannot be carried out here and now: told before the first step, all of them."""

    exit_code = 1


class StepError(Error):
    """An instruction of the Dockerfile could not be carried out."""


class RunError(StepError):
    """The command of a RUN ended with a status other than 0. `tail` holds its last lines of output, unchanged."""

    def __init__(
        self, message: str, *, status: int, tail: Sequence[str] = (), location: Location | None = None
    ) -> None:
        super().__init__(message, location=location)
        self.message += "".join(f"\n    {line}" for line in tail)
        self.status = status
        self.tail = tuple(tail)
        self.exit_code = status if 0 < status < 256 else 1


class ContextError(Error):
    """The build context cannot be opened or does not hold what an instruction asks for."""


class ImageError(Error):
    """An image, manifest or layer is malformed, or its bytes are not those its digest or size promises."""


class RegistryError(Error):
    """A registry refused or could not be reached.

    `status` is the HTTP status (0: no answer), `codes` the error codes of the distribution spec's error body,
    `retry_after` the seconds the registry asked to wait. Retryable: no answer, 408, 429 and 5xx but 501/505.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        codes: Sequence[str] = (),
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = tuple(codes)
        self.retry_after = retry_after
        self.retryable = status in (0, 408, 429) or (status >= 500 and status not in (501, 505))
        self.exit_code = 75 if self.retryable else 1


class AuthError(RegistryError):
    """401 or 403: the message names the registry, the repository, the user and where credentials came from."""


class NotFoundError(RegistryError):
    """404: no such repository, manifest or blob."""


class PushError(Error):
    """The image is built, but at least one destination does not have it. `causes` has what each of them met.

    Retryable when all of them are.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", causes: Sequence[Error] = ()) -> None:
        super().__init__(message, hint=hint)
        self.causes = tuple(causes)
        self.retryable = bool(causes) and all(cause.retryable for cause in causes)
        if self.retryable:
            self.exit_code = 75


class UnfitError(Error):
    """This machine or container cannot do the job: missing privilege, full disk, a root that stays dirty."""

    exit_code = 4


class TimedOutError(Error):
    """The time that an image may take is over. `seconds` is that time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"not done after {seconds:g} s, the image's timeout", hint="allow more time, or build less"
        )


class StoppedError(Error):
    """A signal ended the work. `exit_code` is 128 + the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number


class InternalError(Error):
    """A bug of ours, never the user's fault."""

    exit_code = 70


def is_of_the_machine(error: OSError) -> bool:
    """Whether the machine lacks something (room, memory, processes, open files), or a disk of it fails."""
    return error.errno in _LACKING


def step_fault(error: OSError, message: str, *, location: Location | None = None) -> StepError | UnfitError:
    """What to raise when `error` kept a step from being carried out: UnfitError for what the machine lacks."""
    if is_of_the_machine(error):
        return UnfitError(message, hint=_LACKING[error.errno or 0], location=location)
    return StepError(message, location=location)


def context_fault(error: OSError, message: str) -> ContextError | UnfitError:
    """What to raise when `error` kept a context from being fetched: UnfitError for what the machine lacks."""
    if is_of_the_machine(error):
        return UnfitError(message, hint=_LACKING[error.errno or 0])
    return ContextError(message)


@contextmanager
def machine_faults_explained() -> Iterator[None]:
    """Raise UnfitError for what the machine turns out to lack within the context: that is no bug of ours."""
    try:
        yield
    except OSError as error:
        if not is_of_the_machine(error):
            raise
        where = f": {error.filename}" if error.filename else ""
        raise UnfitError(f"{error.strerror}{where}", hint=_LACKING[error.errno or 0]) from error
    except MemoryError as error:
        raise UnfitError("out of memory", hint=_MEMORY) from error
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            raise
        raise UnfitError("no thread can be started", hint=_PROCESSES) from error
