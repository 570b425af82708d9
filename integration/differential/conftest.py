"""The differential suite's fixtures, and its summary: how many cases agree, and why the others do not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from integration.differential import recording
from integration.differential.cases import GROUPS
from integration.differential.known_differences import TALLY
from integration.differential.outcomes import Outcome
from integration.differential.sites import serve_sites, ssh_agent
from integration.differential.subjects import DRIVERS, BuilderSubject, ExecutorSubject, Subject
from integration.support import container, preloaded
from integration.support.bases import REGISTRY_NAME
from integration.support.builders import ROOT, Case, Docker

_SERVER = Path(preloaded.__file__)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--subject")
        names = DRIVERS if asked == "executor" else [asked]
        metafunc.parametrize("subject", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def hosts(work: Path, base_host: str) -> Iterator[Mapping[str, str]]:
    """Host name in the cases → `127.0.0.1:port`, while an ssh agent runs."""
    with serve_sites(work / "sites") as sites, ssh_agent(work / "ssh"):
        yield {REGISTRY_NAME: base_host, **sites}


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest, work: Path, hosts: Mapping[str, str]) -> Iterator[Subject]:
    """The builder that is compared with the references."""
    folder = work / "differential" / request.param
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        match request.param:
            case "buildah":
                yield BuilderSubject(driver="buildah", builder=request.getfixturevalue("buildah"))
            case "in-place":
                docker = request.getfixturevalue("krunner_images")
                yield stack.enter_context(_in_a_container(docker, folder, agent=work / "ssh"))
            case driver:
                yield stack.enter_context(_on_this_machine(driver, folder))


@contextlib.contextmanager
def _on_this_machine(driver: str, folder: Path) -> Iterator[Subject]:
    argv = [sys.executable, _SERVER]
    environment = {**os.environ, "KRUNNER_HOME": f"{folder}/home", "PYTHONPATH": str(ROOT)}
    with preloaded.started(argv, folder=folder, env=environment) as server:
        yield ExecutorSubject(driver=driver, server=server, folder=folder, seen_as=str(folder))


@contextlib.contextmanager
def _in_a_container(docker: Docker, folder: Path, *, agent: Path) -> Iterator[Subject]:
    (folder / _SERVER.name).write_bytes(_SERVER.read_bytes())
    options = (f"--volume={agent}:/agent", "--env=SSH_AUTH_SOCK=/agent/agent")
    with container.started(docker, folder, *options) as box:
        argv = box.interactive("/kaniko/python/bin/python3.11", "-IXutf8", f"/workspace/{_SERVER.name}")
        with preloaded.started(argv, folder=folder, seen_as="/workspace") as server:
            yield ExecutorSubject(driver="in-place", server=server, folder=folder, seen_as="/workspace")


@pytest.fixture(scope="session")
def recorded() -> Callable[[Case], Outcome]:
    """What BuildKit made of a case."""
    recordings = {group: recording.read(group) for group in GROUPS}
    groups = {case.name: group for group, cases in GROUPS.items() for case in cases}
    return lambda case: recordings[groups[case.name]].outcome(case)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, [])
    if not tally:
        return
    terminalreporter.section("differential suite")
    for subject in sorted({subject for _, subject, _, _ in tally}):
        rows = [row for row in tally if row[1] == subject]
        differing = sum(unknown for _, _, unknown, _ in rows)
        explained = sum(bool(known) and not unknown for _, _, unknown, known in rows)
        counts = f"{len(rows) - differing - explained} agree, {explained} differ for a listed reason"
        terminalreporter.line(f"{subject}: {len(rows)} cases, {counts}, {differing} differ")
    for row in sorted({(known.case, known.place, known.reason) for _, _, _, rows in tally for known in rows}):
        terminalreporter.line("  " + ": ".join(row))
