"""All checks of a file, in the order of its lines. Each check is a function from the file to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from executor.dataclass import dataclass, field
from executor.dockerfile.instructions import Dockerfile
from executor.dockerfile.lint import bases, names, steps, variables, workdirs
from executor.dockerfile.lint.finding import BaseFacts, Finding
from executor.dockerfile.lint.rules import RULES
from executor.dockerfile.lint.selection import CheckOptionError, CheckOptions
from executor.errors import Diagnostic, InvalidFileError, Location

# BuildKit judges these over the whole file, where a `check=` above an instruction is not heeded.
_OF_THE_FILE = frozenset(
    {
        "ConsistentInstructionCasing",
        "DuplicateStageName",
        "InvalidDefaultArgInFrom",
        "MultipleInstructionsDisallowed",
        "ReservedStageName",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a file does not say itself.

    `is_ignored` tells whether the context leaves out a path; None where there is no .dockerignore, or one with
    exceptions, which cannot be judged by a name. `hides_all`: it leaves out everything. `bases` are the facts of
    stages, by index, upon images whose configuration is known.
    """

    is_ignored: Callable[[str], bool] | None = None
    hides_all: bool = False
    bases: Mapping[int, BaseFacts] = field(default_factory=dict)


def lint(
    dockerfile: Dockerfile, around: Surroundings | None = None, check: str | None = None
) -> tuple[Diagnostic, ...]:
    """What the rules find that the file does not skip: `path` is the rule's name.

    `check` stands in place of the file's `# check=`. Raises InvalidFileError when that is wrong.
    """
    options = check_options(dockerfile, check)
    found = [warning for warning in dockerfile.warnings if options.wants(warning.path)]
    for finding in _findings(dockerfile, around or Surroundings()):
        local = finding.rule not in _OF_THE_FILE
        counting = options.beside(finding.instruction.comments) if local else options
        if counting.wants(finding.rule, experimental=RULES[finding.rule].experimental):
            found.append(finding.diagnostic())
    return tuple(sorted(found, key=lambda diagnostic: (diagnostic.location.line, diagnostic.location.column)))


def check_options(dockerfile: Dockerfile, check: str | None = None) -> CheckOptions:
    """The options of a file, or `check` in their place. Raises InvalidFileError when they are wrong."""
    try:
        return CheckOptions.parse(dockerfile.directives.check if check is None else check)
    except CheckOptionError as error:
        place = Location(dockerfile.file, 1)
        raise InvalidFileError([Diagnostic(place, f"check: {error}", hint=error.hint)]) from error


def _findings(dockerfile: Dockerfile, around: Surroundings) -> Iterator[Finding]:
    for check in (
        names.instruction_casing,
        names.as_casing,
        names.stage_names,
        names.descriptions,
        bases.platforms,
        bases.arguments,
        bases.defaults,
        steps.commands,
        steps.repeated,
        steps.legacy_pairs,
        steps.maintainers,
        steps.ports,
        variables.secrets,
    ):
        yield from check(dockerfile)
    yield from workdirs.working_directories(dockerfile, around.bases)
    yield from variables.undefined(dockerfile, around.bases)
    yield from bases.other_platforms(dockerfile, around.bases)
    if around.is_ignored:
        yield from steps.ignored_files(dockerfile, around.is_ignored, hides_all=around.hides_all)
