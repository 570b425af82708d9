"""`krunner doctor` where it is needed: in containers of all kinds, on this machine, as root and as somebody else.

What it says is held against builds: the driver it names is the one that a build takes, and its advice works.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from executor.build.survey.diagnose import diagnose
from executor.build.worker import preload
from executor.rootfs.kernel import namespaces
from integration.drivers.children import run_in_child
from integration.support.builders import BIN, DOCKER, Docker
from integration.support.programs import run

_SOMEBODY = 1000
_PR_SET_DUMPABLE = 4
_ADMIN = "--cap-add=SYS_ADMIN"
_FREE = "--security-opt=seccomp=unconfined"
_NO_MOUNTS = "CAP_SYS_ADMIN is missing, and the seccomp profile forbids user namespaces"
_OWN_OVERLAY = "/kaniko/store is on the container's own overlayfs, which cannot hold an upper directory"
_NOT_WRITABLE = "cannot use /kaniko/store for layers"


@pytest.fixture
def volume(work: Path) -> Iterator[str]:
    """The option that mounts a folder of this machine's disk as the store."""
    with tempfile.TemporaryDirectory(dir=work, prefix="volume-") as folder:
        yield f"--volume={folder}:/kaniko/store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is to be found: the driver of `auto`, and of each driver that does not work (fully) what is said."""

    chosen: str
    fit: bool = True
    overlay: str = ""
    chroot: str = ""
    in_place: str = ""


_TABLE = {
    (): Expected(chosen="in-place", overlay=_NO_MOUNTS, chroot="commands find an empty /proc"),
    (_ADMIN,): Expected(chosen="chroot", overlay=_OWN_OVERLAY),
    (_FREE,): Expected(chosen="chroot", overlay=_OWN_OVERLAY),
    ("--cap-drop=SYS_CHROOT",): Expected(
        chosen="in-place", overlay=_NO_MOUNTS, chroot="CAP_SYS_CHROOT is missing"
    ),
    ("--cap-drop=ALL", "--cap-add=SYS_CHROOT", "--security-opt=no-new-privileges"): Expected(
        chosen="in-place", overlay=_NO_MOUNTS, chroot="commands find an empty /proc"
    ),
    ("volume",): Expected(chosen="in-place", overlay=_NO_MOUNTS, chroot="commands find an empty /proc"),
    ("volume", _ADMIN): Expected(chosen="overlay"),
    ("volume", _FREE): Expected(chosen="overlay"),
    ("--tmpfs=/kaniko/store", _ADMIN): Expected(
        chosen="overlay", chroot="without RUN: /kaniko/store is mounted noexec"
    ),
    ("--read-only",): Expected(
        chosen="", fit=False, overlay=_NOT_WRITABLE, chroot=_NOT_WRITABLE, in_place=_NOT_WRITABLE
    ),
    ("--read-only", "--tmpfs=/kaniko/store"): Expected(
        chosen="chroot",
        fit=False,
        overlay=_NO_MOUNTS,
        chroot="without RUN: /kaniko/store is mounted noexec",
        in_place="/kaniko/takeover cannot be used: Read-only file system",
    ),
    ("--user=1000",): Expected(
        chosen="", fit=False, overlay=_NOT_WRITABLE, chroot=_NOT_WRITABLE, in_place=_NOT_WRITABLE
    ),
    ("--user=1000", "--tmpfs=/kaniko/store:uid=1000,exec"): Expected(
        chosen="chroot", fit=False, overlay=_NO_MOUNTS, chroot="without RUN", in_place="not root"
    ),
    ("--user=1000", "--tmpfs=/kaniko/store:uid=1000,exec", _FREE): Expected(
        chosen="overlay", in_place="must not be taken over"
    ),
}


@pytest.mark.parametrize(
    ("options", "expected"), _TABLE.items(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_containers(options: tuple[str, ...], expected: Expected, krunner_images: Docker, volume: str) -> None:
    status, found = diagnosis(krunner_images, *(volume if option == "volume" else option for option in options))
    assert (found["chosen"], found["fit"], status) == (expected.chosen, expected.fit, 0 if expected.fit else 4)
    for driver in found["drivers"]:
        said = getattr(expected, driver["name"].replace("-", "_"))
        assert said in driver["reason"] if said else not driver["reason"], driver
        assert driver["works"] or said


@pytest.mark.parametrize("options", [(), (_ADMIN,), ("volume", _ADMIN), ("volume", _FREE), ("volume",)])
def test_a_build_takes_the_driver_that_is_named(
    options: tuple[str, ...], krunner_images: Docker, base_host: str, volume: str, work: Path
) -> None:
    words = [volume if option == "volume" else option for option in options]
    _, found = diagnosis(krunner_images, *words)
    with tempfile.TemporaryDirectory(dir=work) as context:
        Path(context, "Dockerfile").write_text(
            f"FROM {base_host}/busybox\nRUN id && echo works > /x\nUSER app\nRUN id\n"
        )
        build = ["executor", "--context=/workspace", "--no-push", "--insecure-pull"]
        done = in_container(krunner_images, build, "--network=host", f"--volume={context}:/workspace", *words)
    assert done.returncode == 0, done.stdout
    assert f"Root filesystems by {found['chosen']}" in done.stdout


@pytest.mark.parametrize("number", [0, 1])
def test_the_advice_works(number: int, krunner_images: Docker, volume: str) -> None:
    _, found = diagnosis(krunner_images)
    pod = yaml.safe_load(found["advice"][number]["pod"])["spec"]
    status, after = diagnosis(krunner_images, *docker_options(pod, volume))
    assert (status, after["chosen"], after["advice"]) == (0, "overlay", [])


def docker_options(pod: dict[str, Any], volume: str) -> Iterator[str]:
    """docker's words for what a pod's specification asks for."""
    (container,) = pod["containers"]
    security = container.get("securityContext", {})
    if security.get("seccompProfile") == {"type": "Unconfined"}:
        yield _FREE
    for name in security.get("capabilities", {}).get("add", []):
        yield f"--cap-add={name}"
    for mount in container["volumeMounts"]:
        assert mount["mountPath"] == "/kaniko/store"
        yield volume


def test_the_rest_of_the_findings(krunner_images: Docker, work: Path) -> None:
    config = work / "doctor-config.json"
    config.write_text(json.dumps({"auths": {"r.example": {"auth": "bWU6c2VjcmV0"}}}))
    mount = f"--volume={config}:/kaniko/.docker/config.json:ro"
    _, found = diagnosis(krunner_images, mount, "--memory=300m", "--cpus=1.5", "--cap-drop=CHOWN")
    assert found["limits"]["memory"] == 300 << 20
    assert found["limits"]["cpus"] == 1.5
    assert found["credentials"][0]["registries"] == ["r.example"]
    assert "bWU6c2VjcmV0" not in json.dumps(found)
    assert found["process"]["lacking"] == ["CAP_CHOWN"]
    assert found["process"]["own_image"]
    assert found["store"]["file_system"] == "overlay"
    assert found["store"]["free_bytes"] > 0
    assert found["store"]["free_inodes"] > 0


def test_on_this_machine_as_root(work: Path) -> None:
    found = json.loads(run([BIN / "krunner", "doctor", "--json", f"--home={work / 'doctor-home'}"]))
    assert found["chosen"] == "overlay"
    works = {driver["name"]: driver["works"] for driver in found["drivers"]}
    assert works == {"overlay": True, "chroot": True, "in-place": False}


@pytest.fixture
def others_home() -> Iterator[str]:
    """A folder that belongs to somebody else, for a store."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
        os.chown(home, _SOMEBODY, _SOMEBODY)
        yield home


def become_somebody() -> None:
    """Give up root in this (forked) process; before that import all, which may be root's alone to read."""
    preload()
    os.setgroups([])
    os.setresgid(_SOMEBODY, _SOMEBODY, _SOMEBODY)
    os.setresuid(_SOMEBODY, _SOMEBODY, _SOMEBODY)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # as a program started by that user is


def test_on_this_machine_as_somebody_else(others_home: str) -> None:
    def check() -> None:
        become_somebody()
        found = diagnose(others_home)
        assert (found.chosen, found.fit) == ("overlay", True)
        assert found.process.uid == _SOMEBODY
        assert found.process.becomes.startswith("user namespace")

    run_in_child(check, enter=False)


def test_where_user_namespaces_are_limited(others_home: str) -> None:
    """The limit belongs to a user namespace: it is set in one of the test's own."""

    def check() -> None:
        namespaces._enter_user_namespace()
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        become_somebody()
        found = diagnose(others_home)
        reasons = {driver.name: driver.reason for driver in found.drivers}
        assert "CAP_SYS_ADMIN is missing" in reasons["overlay"]
        assert "user.max_user_namespaces is 0" in reasons["overlay"]
        assert (found.chosen, found.fit) == ("chroot", False)

    run_in_child(check, enter=False)


def diagnosis(docker: Docker, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit status of `krunner doctor` in a new container, and what it found."""
    done = in_container(docker, ["krunner", "doctor", "--json"], *options)
    return done.returncode, json.loads(done.stdout)


def in_container(docker: Docker, words: Sequence[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a new container to its end."""
    argv = [DOCKER, "--host", docker.host, "run", "--rm", *options, f"--entrypoint={words[0]}", "krunner:debug"]
    return subprocess.run(
        [*map(str, argv), *words[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
