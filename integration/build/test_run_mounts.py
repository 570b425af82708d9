"""RUN --mount, --network and secrets, end to end, with each driver."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from integration.build.test_engine import BASE, Build
from integration.support.builders import Executor
from integration.support.flatten import flatten
from integration.support.images import StoredImage
from integration.support.programs import ProgramError

SECRET = "hush-4711-värdefull"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with files that are ignored, and with one that a user may not read."""
    folder = tmp_path / "context"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("content")
    (folder / "sub" / "kept").write_text("kept")
    (folder / "sub" / "hidden").write_text("hidden")
    (folder / ".dockerignore").write_text("sub/hidden\n")
    os.chown(folder / "file", 7, 8)
    folder.chmod(0o700)
    return folder


@pytest.fixture
def build(executor: Executor, context: Path) -> Build:
    return Build(executor, context)


def output(build: Build) -> list[object]:
    """What the commands of the last build printed."""
    return [event["line"] for event in build.events("CommandOutput")]


def own_files(image: StoredImage) -> set[str]:
    return {path for path in flatten(image) if path.startswith(("/mnt", "/out", "/w", "/run/", "/cache"))}


def test_the_context_as_a_copy_would_have_it(build: Build) -> None:
    image = build.image(
        f"{BASE}WORKDIR /w\nUSER 1000\n"
        "RUN --mount=target=here --mount=source=sub/kept,target=/mnt/kept <<END\n"
        "ls here here/sub; stat -c '%a %u:%g' here here/file; cat /mnt/kept; echo\n"
        "! touch here/new 2> /dev/null\nEND\n"
    )
    assert output(build) == [
        "here:", "Dockerfile", "file", "sub", "", "here/sub:", "kept", "755 0:0", "644 0:0", "kept",
    ]  # fmt: skip
    assert own_files(image) == {"/w"}


@pytest.mark.parametrize("missing", ["source=sub/hidden,target=/x", "source=none,target=/x"])
def test_a_source_that_is_not_there(build: Build, missing: str) -> None:
    with pytest.raises(ProgramError, match=r"Dockerfile:2:.*: not found"):
        build(f"{BASE}RUN --mount={missing} true\n", "--no-push")


def test_a_stage_an_image_and_what_is_written_to_them(build: Build) -> None:
    image = build.image(
        f"{BASE[:-1]} AS made\nRUN mkdir /d && echo made > /d/f\n{BASE}"
        "RUN --mount=from=made,source=d,target=/mnt/a,rw echo more >> /mnt/a/f && cat /mnt/a/f\n"
        "RUN --mount=from=made,source=d,target=/mnt/a cat /mnt/a/f; ! touch /mnt/a/x 2> /dev/null\n"
        "RUN --mount=from=registry.test/layered,target=/mnt/b test -d /mnt/b/etc\n"
    )
    assert output(build) == ["made", "more", "made"]
    assert own_files(image) == set()


def test_only_stages_that_are_mounted_are_built(build: Build) -> None:
    text = f"{BASE[:-1]} AS one\nRUN echo one > /f\n{BASE[:-1]} AS two\nRUN exit 1\n{BASE}"
    build(f"{text}RUN --mount=from=one,source=f,target=/f cat /f\n", "--no-push")
    assert output(build) == ["one"]
    with pytest.raises(ProgramError, match="must be defined before"):
        build(
            f"{BASE}RUN --mount=from=late,target=/x true\n{BASE[:-1]} AS late\n{BASE}", "--no-push", "--target=0"
        )


def test_caches_outlive_a_build_and_enter_no_layer(build: Build, tmp_path: Path) -> None:
    name = tmp_path.name + build.executor.driver
    mount = f"--mount=type=cache,id={name},target=/cache/x"
    text = f"{BASE}RUN {mount} ls /cache/x; stat -c %a /cache/x; echo $0 >> /cache/x/f\n"
    image = build.image(text)
    assert output(build) == ["755"]
    build(text, "--no-push")
    assert output(build) == ["f", "755"]
    assert own_files(image) == set()
    read_only = f"{BASE}RUN {mount},ro ! touch /cache/x/new\n"
    build(read_only, "--no-push")


def test_caches_with_an_owner_or_with_first_content(build: Build, tmp_path: Path) -> None:
    name = tmp_path.name + build.executor.driver
    build(
        f"{BASE[:-1]} AS first\nRUN mkdir /d && echo first > /d/f\n{BASE}USER 5\n"
        f"RUN --mount=type=cache,id={name},target=/c,uid=5,gid=6,mode=0700 stat -c '%a %u:%g' /c; touch /c/mine\n"
        f"RUN --mount=type=cache,id={name},target=/c,uid=5,gid=6,mode=0700 ls /c\nUSER 0\n"
        f"RUN --mount=type=cache,id={name},target=/c,from=first,source=d cat /c/f; echo more >> /c/f\n"
        f"RUN --mount=type=cache,id={name},target=/c,from=first,source=d cat /c/f\n"
        f"RUN --mount=type=cache,id={name},target=/c ls /c\n",
        "--no-push",
    )
    assert output(build) == ["700 5:6", "mine", "first", "first", "more"]


def test_a_locked_cache_is_used_by_one_build_at_a_time(build: Build, tmp_path: Path) -> None:
    name = tmp_path.name + build.executor.driver
    text = f"""{BASE}RUN --mount=type=cache,id={name},target=/c,sharing=locked \
        test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy\n"""
    other = Build(build.executor, tmp_path / "other")
    other.context.mkdir()
    thread = threading.Thread(target=lambda: other(text, "--no-push"))
    thread.start()
    build(text, "--no-push")
    thread.join()
    assert other.events("BuildSucceeded")


def test_a_tmpfs_and_no_network(build: Build) -> None:
    image = build.image(
        f"{BASE}RUN --mount=type=tmpfs,target=/mnt/t,size=1m df -k /mnt/t | tail -n1 | awk '{{print $2}}'\n"
        "RUN --network=none ip -o link | wc -l; ip -o address show lo | grep -c 127.0.0.1\n"
        "RUN --network=host wc -l < /proc/net/dev\n"
    )
    lines = output(build)
    assert lines[0] == "1024"
    assert lines[2] == "1"
    assert int(str(lines[3])) >= 3
    assert own_files(image) == set()


@pytest.mark.parametrize("flag", ["--security=insecure", "--device=vendor.com/class=name,required"])
def test_what_no_driver_can_do(build: Build, flag: str) -> None:
    with pytest.raises(
        ProgramError, match=f"{flag.split('=', maxsplit=1)[0]}.* is not supported by the overlay and chroot"
    ):
        build(f"{BASE}RUN {flag} true\n", "--no-push")
    assert build.log[-1]["hint"]


def test_secrets_are_there_and_leave_no_trace(build: Build, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    os.chmod(tmp_path / "secret", 0o600)
    image = build.image(
        f"{BASE}RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=TOKEN,required \\\n"
        "  grep -c 4711 /run/secrets/file && cat /run/secrets/file >&2 && echo [$TOKEN]x && \\\n"
        "  stat -c %a:%u /run/secrets/*\n"
        "RUN --mount=type=secret,id=file,target=/mnt/key,mode=0444,uid=3,gid=4 stat -c %a:%u:%g /mnt/key\n"
        "RUN --mount=type=secret,id=absent ! test -e /run/secrets/absent && test -z \"$TOKEN\"\n",
        f"--secret=id=file,src={tmp_path / 'secret'}", "--secret=id=var,env=MY_TOKEN",
        env={"MY_TOKEN": SECRET},
    )  # fmt: skip
    assert sorted(map(str, output(build))) == ["***", "1", "400:0", "444:3:4", "[***]x"]
    assert own_files(image) == set()
    held = [json.dumps(build.log, ensure_ascii=False).encode(), json.dumps(image.config).encode()]
    held += [path.read_bytes() for path in (tmp_path).rglob("layout-*/**/*") if path.is_file()]
    held += [os.fsencode(path) for path in flatten(image)]
    assert not any(SECRET.encode() in data or b"4711-v" in data for data in held)
    assert not subprocess.run(
        ["grep", "-rlaF", SECRET, str(build.executor.home)], capture_output=True, check=False
    ).stdout


def test_a_failing_command_does_not_tell_a_secret(build: Build) -> None:
    with pytest.raises(ProgramError, match=r"\*\*\*") as caught:
        build(
            f"{BASE}RUN --mount=type=secret,id=MY_TOKEN,env= echo got $MY_TOKEN; exit 3\n",
            "--no-push",
            "--secret=id=MY_TOKEN",
            env={"MY_TOKEN": SECRET},
        )
    assert SECRET not in str(caught.value)
    assert SECRET not in json.dumps(build.log, ensure_ascii=False)


def test_a_required_secret_or_agent_that_was_not_given(build: Build) -> None:
    for kind in ("secret", "ssh"):
        with pytest.raises(ProgramError, match='"it" is required and was not given'):
            build(f"{BASE}RUN --mount=type={kind},id=it,required true\n", "--no-push")
        assert f"--{kind}" in str(build.log[-1]["hint"])


def test_an_ssh_agent(build: Build, tmp_path: Path) -> None:
    """What a connection to the socket reaches is tested by the forwarder's test: busybox has no client."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent"))
        image = build.image(
            f"{BASE}RUN --mount=type=ssh --mount=type=ssh,id=other,uid=5,mode=0620 \\\n"
            "  test -S $SSH_AUTH_SOCK && stat -c %a:%u:%g:%n /run/buildkit/*\n"
            "RUN --mount=type=ssh,id=absent test -n $SSH_AUTH_SOCK && ! test -e $SSH_AUTH_SOCK\n",
            "--ssh=default", f"--ssh=other={tmp_path / 'agent'}",
            env={"SSH_AUTH_SOCK": str(tmp_path / "agent")},
        )  # fmt: skip
    assert output(build) == ["600:0:0:/run/buildkit/ssh_agent.0", "620:5:0:/run/buildkit/ssh_agent.1"]
    assert own_files(image) == set()


def test_bad_sources_are_told_before_anything_runs(build: Build, tmp_path: Path) -> None:
    for flags, reason in (
        (["--secret=id=a,src=/absent"], "cannot read /absent"),
        (["--secret=id=a,env=NOT_THERE"], "no variable NOT_THERE"),
        (["--ssh=default"], "SSH_AUTH_SOCK is not set"),
        ([f"--ssh=default={build.context / 'file'}"], "key files are not supported"),
    ):
        with pytest.raises(ProgramError, match=reason):
            build(f"{BASE}RUN true\n", "--no-push", *flags, env={"SSH_AUTH_SOCK": ""})
        assert not build.events("StageStarted")


def test_a_killed_build_leaves_no_secret_no_lock_and_the_cache(build: Build, tmp_path: Path) -> None:
    name = tmp_path.name + build.executor.driver
    cache = f"--mount=type=cache,id={name},target=/c,sharing=locked"
    (build.context / "Dockerfile").write_text(
        f"FROM {build.executor.registry}/busybox\nRUN {cache} --mount=type=secret,id=TOKEN \\\n"
        "  touch /c/before && cat /run/secrets/TOKEN && echo && sleep 60\n"
    )
    process = subprocess.Popen(
        build.executor.argv(f"--context={build.context}", "--no-push", "--secret=id=TOKEN"),
        env={**os.environ, "KRUNNER_HOME": str(build.executor.home), "TOKEN": SECRET},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "***\n"
        process.kill()
    left = subprocess.run(["grep", "-rlaF", SECRET, str(build.executor.home)], capture_output=True, check=False)
    assert not left.stdout
    build(f"{BASE}RUN {cache} ls /c\n", "--no-push")
    assert output(build) == ["before"]
