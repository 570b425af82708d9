"""What became of each image, and the one exit code that a whole run results in.

    130, 143   a signal ended the run           1    a build failed
    4          the machine is unfit             75   failures, all of them temporary: safe to run again
    70         a bug of ours                    3    all built, but a push failed
    2          usage, or an invalid file        0    all built and pushed
The first that applies wins, down the left column and then the right one. 2 comes before a run, never from one.
What is not pushed because of another's failure does not count beside that.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from executor import errors
from executor.dataclass import dataclass

Status: TypeAlias = Literal["built", "push failed", "not pushed", "failed", "stopped", "skipped"]
_TEMPORARY = 75
_WORST_FIRST = (errors.UnfitError.exit_code, errors.InternalError.exit_code, errors.Error.exit_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One image's end; one that is not pushed is built and was held back. `attempts` counts its builds.

    `digest` and `size` (bytes) are known once it is built, also when its push failed.

    `kind` is the class name of the error, `message` and `hint` its words; of a skipped image `message` is the
    cause. `file` and `line` are where the user's file is at fault, if it is, `excerpt` its lines there. `pushed`
    are the `repo:tag@digest` names that registries now hold. `kept`: an earlier run has built and pushed it, and
    this one had nothing to do.
    """

    name: str
    status: Status
    seconds: float = 0.0
    digest: str = ""
    size: int = 0
    pushed: tuple[str, ...] = ()
    kind: str = ""
    message: str = ""
    hint: str = ""
    retryable: bool = False
    file: str = ""
    line: int = 0
    excerpt: str = ""
    attempts: int = 1
    kept: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether the image is in the store, so that others can be built upon it."""
        return self.status in ("built", "push failed", "not pushed")

    @property
    def exit_code(self) -> int:
        """What this image alone would make the run exit with. The status of a RUN is never passed on."""
        if self.status not in ("failed", "push failed", "not pushed"):
            return 0
        kind = getattr(errors, self.kind, errors.Error)
        for passed_on in (errors.UnfitError, errors.InternalError):
            if issubclass(kind, passed_on):
                return passed_on.exit_code
        if self.retryable:
            return _TEMPORARY
        return errors.Error.exit_code if self.status == "failed" else errors.PushError.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run's end: the outcomes in build order, and the signal that ended it (0: none)."""

    outcomes: tuple[Outcome, ...]
    seconds: float
    signal: int = 0

    @property
    def exit_code(self) -> int:
        """By the table at the top of this module."""
        if self.signal:
            return 128 + self.signal
        codes = {outcome.exit_code for outcome in self.outcomes}
        worst = next((code for code in _WORST_FIRST if code in codes), 0)
        return worst or self._exit_code_of_passing()

    def _exit_code_of_passing(self) -> int:
        """Where no build has failed for good."""
        failed = [outcome for outcome in self.outcomes if outcome.exit_code]
        met = [outcome for outcome in failed if outcome.status != "not pushed"]
        if met and all(outcome.retryable for outcome in met):
            return _TEMPORARY
        if any(outcome.status == "failed" for outcome in met):
            return errors.Error.exit_code  # not all is built, and running again does not help
        return errors.PushError.exit_code if failed else 0
