"""Wrong Dockerfiles, missing files, commands that fail: what is said, and the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.faults.conftest import Attempt


@pytest.mark.parametrize(
    ("dockerfile", "place", "words"),
    [
        ("FROM scratch\nCOPPY a /\n", "Dockerfile:2", "COPPY"),
        ("FROM scratch\nCOPY a\n", "Dockerfile:2", "COPY"),
        ("FROM scratch\n\nENV a\n", "Dockerfile:3", "ENV"),
        ("RUN before\nFROM scratch\n", "Dockerfile:1", "RUN"),
        ("FROM scratch\nCOPY --chwon=1 a /\n", "Dockerfile:2", "chwon"),
        ("FROM scratch\nHEALTHCHECK --interval=soon CMD x\n", "Dockerfile:2", "soon"),
        ("FROM ${\n", "Dockerfile:1", "${"),
        ("ARG A=${\nFROM scratch\n", "Dockerfile:1", "${"),
        ("", "Dockerfile", ""),
    ],
)
def test_a_wrong_dockerfile_is_refused_with_the_line(
    attempt: Attempt, dockerfile: str, place: str, words: str
) -> None:
    outcome = attempt(dockerfile, "--no-push")
    assert outcome.status == 2, outcome.log
    assert place in outcome.log
    assert words in outcome.log
    assert "Traceback" not in outcome.log


def test_all_faults_of_a_dockerfile_are_listed(attempt: Attempt) -> None:
    outcome = attempt("FROM scratch\nCOPPY a /\nENV b\n", "--no-push")
    assert outcome.status == 2
    assert "Dockerfile:2" in outcome.log
    assert "Dockerfile:3" in outcome.log


@pytest.mark.parametrize("line", ["COPY absent /", "ADD absent /x", "COPY there absent /d/"])
def test_a_file_missing_in_the_context_is_named(attempt: Attempt, line: str) -> None:
    (attempt.context / "there").write_text("")
    outcome = attempt(f"FROM scratch\n{line}\n", "--no-push")
    assert outcome.status == 1, outcome.log
    assert "absent" in outcome.log
    assert "Dockerfile:2" in outcome.log


def test_an_ignored_file_is_missing(attempt: Attempt) -> None:
    (attempt.context / "secret").write_text("")
    (attempt.context / ".dockerignore").write_text("secret\n")
    outcome = attempt("FROM scratch\nCOPY secret /\n", "--no-push")
    assert outcome.status == 1
    assert ".dockerignore" in outcome.log


def test_a_missing_dockerfile_and_a_missing_context(attempt: Attempt) -> None:
    outcome = attempt("FROM scratch\n", "--no-push", "--dockerfile=Absent.docker")
    assert outcome.status in (1, 2)
    assert "Absent.docker" in outcome.log
    outcome = attempt("FROM scratch\n", "--no-push", f"--context={attempt.folder / 'nowhere'}")
    assert outcome.status == 1
    assert "nowhere" in outcome.log


def test_an_unknown_target_is_named(attempt: Attempt) -> None:
    outcome = attempt("FROM scratch AS first\nENV a=1\n", "--no-push", "--target=frist")
    assert outcome.status in (1, 2)
    assert "frist" in outcome.log
    assert "first" in outcome.log


def test_a_copy_out_of_the_context_stays_inside(attempt: Attempt) -> None:
    (attempt.folder / "outside").write_text("outside")
    (attempt.context / "link").symlink_to(attempt.folder / "outside")
    for line in ("COPY ../outside /", "COPY link /"):
        outcome = attempt(f"FROM scratch\n{line}\n", "--no-push")
        assert outcome.status == 1, f"{line}\n{outcome.log}"


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 3", 3), ("false", 1), ("sh -c 'kill -9 $$'; exit $?", 137), ("absent-tool", 127)],
)
def test_a_failing_run_passes_its_status_on(attempt: Attempt, base_host: str, command: str, status: int) -> None:
    outcome = attempt(
        f"FROM {base_host}/busybox\nRUN for n in 1 2 3; do echo line $n; done; {command}\n", "--no-push"
    )
    assert outcome.status == status, outcome.log
    assert "line 3" in outcome.log
    assert "Dockerfile:2:1: RUN for n in 1 2 3; do" in outcome.log
    assert "  2 | >>> RUN for n in 1 2 3; do" in outcome.log


def test_a_password_in_a_failing_command_is_not_shown(attempt: Attempt, base_host: str) -> None:
    outcome = attempt(f"FROM {base_host}/busybox\nRUN ! true http://me:hidden-word@files.test/\n", "--no-push")
    assert outcome.status == 1, outcome.log
    assert "true http://***@files.test/" in outcome.log
    assert "hidden-word" not in outcome.log


def test_a_run_whose_program_is_absent(attempt: Attempt, base_host: str) -> None:
    outcome = attempt(f'FROM {base_host}/busybox\nRUN ["/absent/program"]\n', "--no-push")
    assert outcome.status in (1, 126, 127)
    assert "/absent/program" in outcome.log


def test_an_unknown_user_is_named(attempt: Attempt, base_host: str) -> None:
    outcome = attempt(f"FROM {base_host}/busybox\nUSER nobody-knows\nRUN true\n", "--no-push")
    assert outcome.status == 1
    assert "Dockerfile:3:1: unable to find user nobody-knows" in outcome.log


def test_outputs_of_a_failed_build_are_not_written(attempt: Attempt, base_host: str, tmp_path: Path) -> None:
    outputs = {"tar-path": "image.tar", "oci-layout-path": "layout", "digest-file": "digest"}
    flags = [f"--{flag}={tmp_path / name}" for flag, name in outputs.items()]
    outcome = attempt(f"FROM {base_host}/busybox\nRUN false\n", "--no-push", "--destination=name", *flags)
    assert outcome.status == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_named(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "image.tar"
    outcome = attempt("FROM scratch\nENV a=1\n", "--no-push", "--destination=name", f"--tar-path={target}")
    assert outcome.status != 0
    assert str(target) in outcome.log
    assert "Traceback" not in outcome.log


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--destinatoin=a/b", "--destination"),
        ("--cache", "--cache"),
        ("--push-retry=many", "many"),
        ("--no-push=maybe", "maybe"),
    ],
)
def test_a_wrong_flag(attempt: Attempt, flag: str, words: str) -> None:
    outcome = attempt("FROM scratch\nENV a=1\n", "--no-push", flag)
    assert outcome.status == 2, outcome.log
    assert words in outcome.log


def test_neither_destination_nor_no_push(attempt: Attempt) -> None:
    outcome = attempt("FROM scratch\nENV a=1\n")
    assert outcome.status == 2, outcome.log
    assert "--destination" in outcome.log
    assert "--no-push" in outcome.log
