"""`krunner doctor`: what it prints of a diagnosis, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from executor.diagnosis import (
    Advice,
    CredentialsFinding,
    Diagnosis,
    DriverFinding,
    LimitsFinding,
    ProcessFinding,
    StoreFinding,
)
from runner.buildsfile import schema
from runner.cli import main
from runner.executor import INSTALLED
from runner.report.diagnosis import describe

FOUND = Diagnosis(
    drivers=(
        DriverFinding(name="overlay", works=False, commands=False, reason="CAP_SYS_ADMIN is missing"),
        DriverFinding(name="chroot", works=True, commands=True, reason="commands find an empty /proc"),
        DriverFinding(name="in-place", works=True, commands=True),
    ),
    chosen="in-place",
    store=StoreFinding(
        path="/kaniko/store", mount_point="/", file_system="overlay", free_bytes=5 * 10**9, free_inodes=1_234_567
    ),
    process=ProcessFinding(
        uid=0, becomes="root", mounts_refused="no", seccomp=True, container=True, own_image=True, umask="0022"
    ),
    limits=LimitsFinding(memory=512 * 10**6, cpus=1.5, usable_cores=4),
    credentials=(
        CredentialsFinding(source="$DOCKER_AUTH_CONFIG", found=True, registries=("r.example",)),
        CredentialsFinding(source="/.docker/config.json", found=False),
    ),
    emulators=("qemu-aarch64",),
    git="2.39.5",
    advice=(Advice(text="Do this.", pod="spec:\n  containers: []\n"),),
)
TEXT = """\
Images can be built here, by in-place.

DRIVER    WORKS
overlay   no      CAP_SYS_ADMIN is missing
chroot    yes     commands find an empty /proc
in-place  yes     taken by auto

process      uid 0 in a container of our image, builds as root, seccomp filter
store        /kaniko/store on overlay: 5.0 GB free, 1,234,567 inodes free
memory       at most 512.0 MB
processors   4, limited to the time of 1.5
umask        0022
credentials  $DOCKER_AUTH_CONFIG: r.example
             /.docker/config.json: not there; krunner login writes it
emulators    qemu-aarch64
git          2.39.5

Do this.
    spec:
      containers: []"""


def test_the_text() -> None:
    assert describe(FOUND) == TEXT
    assert "\x1b[32m" in describe(FOUND, colour=True)


def test_a_driver_without_run() -> None:
    chroot = DriverFinding(name="chroot", works=True, commands=False, reason="without RUN: not root")
    found = replace(FOUND, drivers=(chroot,), chosen="chroot")
    assert "chroot    no RUN  taken by auto; without RUN: not root" in describe(found)
    assert describe(found).startswith("Only images without RUN can be built here, by chroot.\n")
    assert not found.fit
    assert describe(replace(found, drivers=(), chosen="")).startswith("No image can be built here.\n")


@pytest.mark.parametrize(("found", "code"), [(FOUND, 0), (replace(FOUND, drivers=(), chosen=""), 4)])
def test_the_exit_code_and_json(found: Diagnosis, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def diagnose(home: str) -> Diagnosis:
        asked.append(home)
        return found

    assert main(["doctor", "--home=/h", "--json"], executor=replace(INSTALLED, diagnose=diagnose)) == code
    document = json.loads(capsys.readouterr().out)
    assert asked == ["/h"]
    kind = json.loads(schema.text("doctor"))
    Draft202012Validator.check_schema(kind)
    assert [error.message for error in Draft202012Validator(kind).iter_errors(document)] == []
    assert (document["version"], document["fit"], document["chosen"]) == (1, code == 0, found.chosen)
    assert document["store"]["free_inodes"] == 1_234_567
