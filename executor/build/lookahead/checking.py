"""Build checks of a build: the rules of `executor.dockerfile.lint` with what is known around the file.

That is what the context's ignore file says, and in a build the base images' variables and platforms.
"""

from __future__ import annotations

from collections.abc import Mapping

from executor.build.bases.bases import BaseImages
from executor.build.plan.buildargs import CHECK, without_effect
from executor.build.plan.buildplan import BuildPlan, ImageBase
from executor.build.plan.frontend import Frontend
from executor.dataclass import dataclass
from executor.dockerfile.ignore import IgnoreMatcher
from executor.dockerfile.lint import BaseFacts, Surroundings, check_options, lint
from executor.errors import Diagnostic, InvalidFileError
from executor.events import Sink, Warned


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the rules find in a Dockerfile, and whether the file wants that to be an error."""

    findings: tuple[Diagnostic, ...]
    error: bool


def check(
    frontend: Frontend, build_args: Mapping[str, str], bases: Mapping[int, BaseFacts] | None = None
) -> Checked:
    """Check a Dockerfile beside its context; `bases` are the facts of stages by index.

    Raises InvalidFileError for options of checks that are none.
    """
    dockerfile, ignored, asked = frontend.dockerfile, frontend.context.ignore, build_args.get(CHECK)
    judged = ignored if isinstance(ignored, IgnoreMatcher) and not ignored.has_exceptions else None
    around = Surroundings(
        is_ignored=judged.ignores if judged else None,
        hides_all=bool(judged and judged.hides_all),
        bases=bases or {},
    )
    error = check_options(dockerfile, asked).error
    return Checked(findings=lint(dockerfile, around, asked), error=error)


def warn_of_checks(
    frontend: Frontend, build_args: Mapping[str, str], sink: Sink, bases: Mapping[int, BaseFacts]
) -> None:
    """Tell `sink` what the rules find, and which build arguments do nothing.

    `bases` are the facts of stages by index. Raises InvalidFileError instead when errors are asked for.
    """
    checked = check(frontend, build_args, bases)
    if checked.error and checked.findings:
        raise InvalidFileError(checked.findings)
    for found in checked.findings:
        sink(warning(found))
    unused = sorted(set(build_args) - frontend.known_args())
    if unused:
        sink(Warned(message=f"build arguments that no ARG declares: {', '.join(unused)}"))
    for name in without_effect(build_args):
        sink(Warned(message=f"the build argument {name} has no effect here"))


def base_facts(plan: BuildPlan, bases: BaseImages) -> dict[int, BaseFacts]:
    """What is known of the images that the stages of `plan` build upon. Raises what BaseImages.get raises."""
    facts: dict[int, BaseFacts] = {}
    for planned in plan.stages:
        if isinstance(planned.base, ImageBase):
            image = bases.get(planned.base.reference, planned.platform).config
            wanted, had = planned.platform, image.platform
            same = (wanted.os, wanted.architecture) == (had.os, had.architecture)
            facts.setdefault(
                planned.stage.index,
                BaseFacts(
                    variables=image.config.environment(),
                    wanted=str(wanted),
                    had=str(wanted if same else had),
                ),
            )
    return facts


def warning(found: Diagnostic) -> Warned:
    """A finding as an event."""
    hint = f"; {found.hint}" if found.hint else ""
    return Warned(message=f"{found.path}: {found.message}{hint}", location=str(found.location))
