"""Build checks of a build: the rules of `executor.dockerfile.lint` with what the context's ignore file says."""

from __future__ import annotations

from executor.build.frontend import Frontend, ignore_matcher, read_dockerfile
from executor.dataclass import dataclass
from executor.dockerfile.ignore import IgnoreMatcher
from executor.dockerfile.instructions import Dockerfile
from executor.dockerfile.lint import CheckOptions, lint
from executor.errors import Diagnostic, InvalidFileError
from executor.events import Sink, Warned
from executor.spec import BuildSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the rules find in a Dockerfile, and whether the file wants that to be an error."""

    findings: tuple[Diagnostic, ...]
    error: bool


def check(spec: BuildSpec) -> Checked:
    """Check the Dockerfile of `spec`; of a context that is no folder the ignore file is not known.

    Raises InvalidFileError for a Dockerfile with faults, ContextError when it cannot be read.
    """
    found = read_dockerfile(spec, spec.context, str)
    ignored = None if "://" in spec.context else ignore_matcher(spec, found.path, spec.context)
    return _checked(found.parsed, ignored)


def warn_of_checks(frontend: Frontend, sink: Sink) -> None:
    """Tell `sink` what the rules find. Raises InvalidFileError instead when the file says `# check=error=true`."""
    ignored = frontend.context.ignore
    checked = _checked(frontend.dockerfile, ignored if isinstance(ignored, IgnoreMatcher) else None)
    if checked.error and checked.findings:
        raise InvalidFileError(checked.findings)
    for found in checked.findings:
        sink(warning(found))


def warning(found: Diagnostic) -> Warned:
    """A finding as an event."""
    hint = f"; {found.hint}" if found.hint else ""
    return Warned(message=f"{found.path}: {found.message}{hint}", location=str(found.location))


def _checked(dockerfile: Dockerfile, ignored: IgnoreMatcher | None) -> Checked:
    judge = ignored.ignores if ignored and not ignored.has_exceptions else None
    findings = lint(dockerfile, judge)
    return Checked(findings=findings, error=CheckOptions.parse(dockerfile.directives.check).error)
