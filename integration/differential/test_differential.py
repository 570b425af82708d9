"""Every case: build by the reference, build by the subject with each driver, compare tree and configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from executor.dockerfile.instructions import From, StageInstruction
from integration.differential.cases import CASES
from integration.differential.known_differences import TALLY, known_for
from integration.differential.reference import build, reference_image
from integration.support.bases import FILES_NAME, REGISTRY_NAME
from integration.support.builders import Builder, Case, Docker
from integration.support.compare import Difference, compare_configs, compare_trees


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject_name" in metafunc.fixturenames:
        buildah = metafunc.config.getoption("--subject") == "buildah"
        metafunc.parametrize("subject_name", ["buildah"] if buildah else ["overlay", "chroot"])


@pytest.fixture
def subject(subject_name: str, request: pytest.FixtureRequest) -> Builder:
    """The builder that is compared with the reference."""
    builder: Builder
    if subject_name == "buildah":
        builder = request.getfixturevalue("buildah")
    else:
        builder = request.getfixturevalue("executors")[subject_name]
    return builder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_builds_the_same_image(
    case: Case,
    subject: Builder,
    subject_name: str,
    docker: Docker,
    base_host: str,
    files_host: str,
    request: pytest.FixtureRequest,
) -> None:
    expected = reference_image(docker, case, hosts={FILES_NAME: files_host})
    ours = build(
        subject, case, dockerfile=case.dockerfile, hosts={REGISTRY_NAME: base_host, FILES_NAME: files_host}
    )
    differences = [*compare_trees(ours.tree, expected.tree), *compare_configs(ours.config, expected.config)]
    known = known_for(case.name, subject_name)
    unknown = [found for found in differences if not any(row.covers(found) for row in known)]
    gone = [row for row in known if not any(row.covers(found) for found in differences)]
    request.config.stash.setdefault(TALLY, []).append((case.name, subject_name, bool(unknown), known))
    assert not unknown, _report(case, unknown)
    assert not gone, f"no longer differs, take it from known_differences.py: {gone}"


def _report(case: Case, differences: Sequence[Difference]) -> str:
    lines = [f"{case.name}: {len(differences)} differences", *(f"  {found}" for found in differences[:30])]
    return "\n".join([*lines, "Dockerfile:", case.dockerfile])


def test_the_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_cases_cover_every_instruction() -> None:
    words = {line.split()[0].upper() for case in CASES for line in case.dockerfile.splitlines() if line.split()}
    instructions = [kind.__name__.upper() for kind in (From, *get_args(StageInstruction))]
    assert words >= set(instructions)
