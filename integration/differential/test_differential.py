"""Every case: built by us with each driver, compared with BuildKit's recorded result and with Debian's docker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import pytest

from executor.dockerfile.instructions import From, StageInstruction
from integration.differential.cases import CASES
from integration.differential.known_differences import TALLY, known_for
from integration.differential.outcomes import Outcome, compare_outcomes
from integration.differential.reference import reference_image
from integration.differential.subjects import Subject
from integration.support.builders import Case, Docker


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_builds_what_the_references_build(
    case: Case,
    subject: Subject,
    hosts: Mapping[str, str],
    recorded: Callable[[Case], Outcome],
    docker: Docker,
    request: pytest.FixtureRequest,
) -> None:
    ours = subject.outcome(case, hosts=hosts)
    problems = [*_problems(case, subject.driver, "buildkit", ours, recorded(case), request.config)]
    if not case.newer:
        reference = reference_image(docker, case, hosts=hosts)
        problems += _problems(case, subject.driver, "docker", ours, reference, request.config)
    assert not problems, "\n".join([case.name, *problems, "Dockerfile:", case.dockerfile])


def _problems(
    case: Case, driver: str, reference: str, ours: Outcome, expected: Outcome, config: pytest.Config
) -> Sequence[str]:
    """What differs without being listed, and what is listed without differing."""
    differences = list(compare_outcomes(ours, expected))
    known = known_for(case.name, driver, reference)
    unknown = [found for found in differences if not any(row.covers(found) for row in known)]
    outcomes_differ = any(found.place == "fails" for found in differences)  # and then nothing else can
    gone = [row for row in known if not outcomes_differ and not any(row.covers(found) for found in differences)]
    tally = config.stash.setdefault(TALLY, [])
    tally.append((case.name, f"{driver} beside {reference}", bool(unknown or gone), known))
    return [
        *(f"  beside {reference}: {found}" for found in unknown[:30]),
        *(f"  no longer differs, take it from known_differences.py: {row}" for row in gone),
    ]


def test_the_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_cases_cover_every_instruction() -> None:
    words = {line.split()[0].upper() for case in CASES for line in case.dockerfile.splitlines() if line.split()}
    instructions = [kind.__name__.upper() for kind in (From, *get_args(StageInstruction))]
    assert words >= set(instructions)
