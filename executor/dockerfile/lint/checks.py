"""All checks of a file, in the order of its lines. Each check is a function from the file to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from executor.dockerfile.instructions import Dockerfile
from executor.dockerfile.lint import bases, names, steps, variables
from executor.dockerfile.lint.finding import Finding
from executor.dockerfile.lint.selection import CheckOptions
from executor.errors import Diagnostic

IsIgnored = Callable[[str], bool]
"""Whether a path of the context is excluded from it."""


def lint(dockerfile: Dockerfile, is_ignored: IsIgnored | None = None) -> tuple[Diagnostic, ...]:
    """What the rules find that the file does not skip: `path` is the rule's name.

    `is_ignored` is None where there is no .dockerignore, or one with exceptions, which cannot be judged by a name.
    """
    options = CheckOptions.parse(dockerfile.directives.check)
    found = [*dockerfile.warnings, *(finding.diagnostic() for finding in _findings(dockerfile, is_ignored))]
    kept = (diagnostic for diagnostic in found if options.wants(diagnostic.path))
    return tuple(sorted(kept, key=lambda diagnostic: (diagnostic.location.line, diagnostic.location.column)))


def _findings(dockerfile: Dockerfile, is_ignored: IsIgnored | None) -> Iterator[Finding]:
    for check in (
        names.instruction_casing,
        names.as_casing,
        names.stage_names,
        bases.platforms,
        bases.arguments,
        bases.defaults,
        steps.commands,
        steps.repeated,
        steps.legacy_pairs,
        steps.maintainers,
        steps.ports,
        steps.working_directories,
        variables.secrets,
        variables.undefined,
    ):
        yield from check(dockerfile)
    if is_ignored:
        yield from steps.ignored_files(dockerfile, is_ignored)
