"""Fixtures of the integration tests: servers, base images, builders; each made once per session, when needed.

At the end of the session nothing that it started may be left: a process or a mount that outlives it fails the run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.support import bases, krunner_image, leftovers
from integration.support.builders import Buildah, Docker, Executor, serve_docker
from integration.support.container import Container
from integration.support.outside import Seen, differences, look_at
from integration.support.registries import RegistryServer, TlsFiles, make_tls, serve_registry
from tests.support import dispositions

WORK = Path("/var/tmp") / f"krunner-integration-{os.getpid()}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--subject",
        choices=("executor", "in-place", "buildah"),
        default="executor",
        help="what the differential suite compares with the reference; buildah shows how far references agree",
    )


def pytest_sessionstart() -> None:
    dispositions.reset()
    leftovers.adopt_orphans()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    found = [f"process {pid}: {command}" for pid, command in leftovers.descendants(os.getpid()).items()]
    found += [f"mount {point}" for point in leftovers.mounts(below=WORK)]
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        lines = "\n  ".join(["left behind by this session:", *found])
        session.config.get_terminal_writer().line(f"\n{lines}", red=True)


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder for the session's servers and stores, on a real disk because of overlayfs; removed after."""
    WORK.mkdir(mode=0o700)
    yield WORK
    shutil.rmtree(WORK, ignore_errors=True)


@pytest.fixture(scope="session")
def registry(work: Path) -> Iterator[RegistryServer]:
    """A registry without authentication, over plain HTTP, that holds the base images."""
    with serve_registry(work / "registry") as server:
        yield server


@pytest.fixture(scope="session")
def locked_registry(work: Path) -> Iterator[RegistryServer]:
    """A registry over plain HTTP that wants registries.USER and registries.PASSWORD."""
    with serve_registry(work / "locked-registry", password=True) as server:
        yield server


@pytest.fixture(scope="session")
def tls(work: Path) -> TlsFiles:
    """A CA of our own and a server certificate by it."""
    return make_tls(work / "tls")


@pytest.fixture(scope="session")
def tls_registry(work: Path, tls: TlsFiles) -> Iterator[RegistryServer]:
    """A registry over HTTPS whose certificate only the `tls` fixture's CA vouches for."""
    with serve_registry(work / "tls-registry", tls=tls) as server:
        yield server


@pytest.fixture(scope="session")
def base_host(registry: RegistryServer) -> str:
    """The host of the registry that holds `busybox`, `layered`, `onbuild` and the index `several`."""
    bases.push_bases(registry.host)
    return registry.host


@pytest.fixture(scope="session")
def debian_host(registry: RegistryServer) -> str:
    """The host of the registry that holds `debian`."""
    bases.push_archive(bases.debian_archive(), registry.host)
    return registry.host


@pytest.fixture(scope="session")
def docker(work: Path) -> Iterator[Docker]:
    """A docker daemon of our own that has the base images."""
    with serve_docker(work / "docker") as daemon:
        for archive in (bases.busybox_archive(), *bases.derived_archives()):
            daemon.load(archive)
        yield daemon


@pytest.fixture(scope="session")
def krunner_images(docker: Docker) -> Docker:
    """The docker daemon with the project's own images, `krunner:debug` and `krunner:slim`."""
    for archive in sorted(krunner_image.archives().iterdir()):
        docker.load(archive)
    return docker


@pytest.fixture(scope="session")
def buildah(work: Path, base_host: str) -> Buildah:
    """Debian's buildah with a storage of its own."""
    return Buildah(folder=work / "buildah", registry=base_host)


@pytest.fixture(scope="session")
def executors(work: Path, base_host: str) -> dict[str, Executor]:
    """The builder under test by driver, each with a store of its own."""
    drivers = ("overlay", "chroot")
    return {name: Executor(driver=name, home=work / f"home-{name}", registry=base_host) for name in drivers}


@pytest.fixture(params=["overlay", "chroot"])
def executor(request: pytest.FixtureRequest, executors: dict[str, Executor]) -> Executor:
    """The builder under test, with each driver in turn."""
    return executors[request.param]


@pytest.fixture(scope="module")
def before(container: Container) -> Seen:
    """The root of the module's `container` before its first build."""
    return look_at(container)


@pytest.fixture
def as_before(container: Container, before: Seen) -> Iterator[None]:
    """After the test the container's root is as it was."""
    yield
    assert differences(look_at(container), before) == {}
