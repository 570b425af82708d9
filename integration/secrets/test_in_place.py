"""Secrets in a container that may mount nothing: after a build, and after a kill, no byte of them is there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.secrets.world import MOUNTS, SHOWN, World
from integration.support.builders import Docker
from integration.support.container import Container, Exec, started
from integration.support.inhabitants import Inhabitants, signalled
from integration.support.leaks import leaks
from integration.support.outside import root_of
from integration.support.programs import stop, wait_until

_KEPT = "/kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A container that has the world's credentials in a volume, which is not searched."""

    container: Container
    world: World
    inhabitants: Inhabitants

    def argv(self, *words: str) -> list[str]:
        """The command line that runs `words` with the world's environment."""
        inside = {
            "DOCKER_CONFIG": _KEPT,
            "SSH_AUTH_SOCK": str(self.world.socket).replace(str(self.world.kept), _KEPT),
            "THE_TOKEN": self.world.values["variable"],
        }
        return self.container.argv(*words, env=inside)

    def run(self, *words: str) -> Exec:
        """Run `words` to their end."""
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=100, check=False)
        return Exec(status=done.returncode, output=done.stdout + done.stderr)

    def write(self, name: str, text: str) -> None:
        """Write a file beside the secrets, for Dockerfiles and lists that name some."""
        (self.world.kept / name).write_text(text)

    def found(self, **texts: str) -> list[str]:
        """Where secrets are: in the container's root, memory, processes and volume, the registry, and texts."""
        memory = self.container.run(
            "/busybox/sh", "-c", "cat /dev/shm/* /dev/mqueue/* /dev/krunner-secrets/* 2> /dev/null; ls -R /dev/shm"
        )
        environments = [
            Path(f"/proc/{each.pid}/environ").read_text(errors="replace") for each in self.inhabitants.of("")
        ]
        everywhere = {"memory": memory.output, "processes": "\n".join(environments), **texts}
        folders = (
            root_of(self.container),
            os.fsencode(self.container.workspace),
            self.world.registry.folder / "docker",
        )
        found = [each for folder in folders for each in leaks(self.world.all(), Path(os.fsdecode(folder)))]
        return [*found, *leaks(self.world.all(), self.world.kept / "nothing", **everywhere)]


@pytest.fixture(scope="module")
def place(krunner_images: Docker, work: Path, world: World) -> Iterator[Place]:
    workspace = work / "secrets-in-place"
    (workspace / "context").mkdir(parents=True)
    with started(krunner_images, workspace, f"--volume={world.kept}:{_KEPT}") as container:
        yield Place(container=container, world=world, inhabitants=Inhabitants(container))


def _words(place: Place, *more: str) -> tuple[str, ...]:
    return (
        *("executor", "--rootfs=in-place", "--context=/workspace/context", f"--dockerfile={_KEPT}/Dockerfile"),
        *("--insecure", "--insecure-pull", "--verbosity=trace", "--ssh=default", f"--build-arg=SHOWN={SHOWN}"),
        *(f"--secret=id=file,src={_KEPT}/file", "--secret=id=variable,env=THE_TOKEN"),
        *more,
    )


@pytest.mark.parametrize(("last", "status"), [("true > /done", 0), ('echo "$TOKEN"; exit 3', 3)])
def test_executor(place: Place, last: str, status: int) -> None:
    place.write("Dockerfile", place.world.dockerfile(last=last, mounts=MOUNTS))
    name = f"{place.world.registry.host}/in-place"
    done = place.run(
        *_words(place, f"--destination={name}:1", "--cache", "--cache-copy-layers", f"--cache-repo={name}/cache"),
        *(
            "--cache-repo=dir:/workspace/cache",
            "--oci-layout-path=/workspace/layout",
            "--tar-path=/workspace/i.tar",
        ),
    )
    assert done.status == status, done.output
    assert place.found(log=done.output) == []
    assert leaks({"shown": SHOWN}, place.container.workspace), "the search finds nothing"
    assert done.output.count("***") >= 4  # as it is, from standard error, in Base64, in hex


def test_what_a_command_finds(place: Place) -> None:
    place.write(
        "Dockerfile",
        f"FROM {place.world.registry.host}/busybox\n"
        "RUN --mount=type=secret,id=file,uid=1000,mode=0440 --mount=type=ssh,target=/run/agent,uid=1000 \\\n"
        "  --mount=type=secret,id=variable,target=/root/.netrc \\\n"
        "  stat -Lc '%n %a %u' /run/secrets/file /root/.netrc /run/agent"
        " && test -S /run/agent && test -s /root/.netrc && mount | grep -q ' on /dev/shm type tmpfs'\n"
        "USER app\n"
        "RUN --mount=type=secret,id=file,uid=1000 --mount=type=ssh,uid=1000 test -s /run/secrets/file "
        '&& test -S "$SSH_AUTH_SOCK" && test -r "$SSH_AUTH_SOCK"\n'
        "RUN --mount=type=secret,id=file,mode=0400 ! cat /run/secrets/file\n"
        f"FROM {place.world.registry.host}/busybox\n"
        "COPY --from=0 / /all\n"
        "RUN test ! -e /all/run/secrets/file && test ! -L /all/root/.netrc && test ! -e /all/run/agent "
        "&& test ! -e /all/run/buildkit && ! ls -A /dev/shm | grep .\n",
    )
    done = place.run(*_words(place, "--no-push"))
    assert done.status == 0, done.output
    assert "/run/secrets/file 440 1000\n0 | /root/.netrc 400 0\n0 | /run/agent 600 1000\n" in done.output
    assert place.found(log=done.output) == []


def test_krunner(place: Place) -> None:
    lines = ["version: 1", "builds:"]
    for name, last in {"good": "true > /done", "bad": 'echo "$TOKEN"; exit 3'}.items():
        place.write(f"{name}.Dockerfile", place.world.dockerfile(last=last, mounts=MOUNTS))
        lines += [
            f"  - name: {name}",
            "    context: /workspace/context",
            f"    dockerfile: {_KEPT}/{name}.Dockerfile",
            f"    destinations: ['{place.world.registry.host}/in-place-list/{name}:1']",
            "    insecure: true",
            f"    args: {{SHOWN: {SHOWN}}}",
            f"    secrets: {{file: {{file: {_KEPT}/file}}, variable: {{env: THE_TOKEN}}}}",
            '    ssh: {default: ""}',
        ]
    (place.container.workspace / "builds.yaml").write_text("\n".join(lines))
    done = place.run("krunner", "--rootfs=in-place", "/workspace/builds.yaml")
    assert done.status == 1, done.output
    assert "1 failed" in done.output
    assert place.found(log=done.output) == []
    assert (place.container.workspace / "krunner-report" / "result.json").exists()


def test_a_context_from_git_with_a_token(place: Place) -> None:
    place.write("Dockerfile", f"FROM {place.world.registry.host}/busybox\nCOPY . /all\nRUN exit 3\n")
    for tag, status in (("v1", 3), ("v9", None)):
        url = f"http://tester:{place.world.values['git']}@{place.world.git}/repo.git#refs/tags/{tag}"
        done = place.run(*_words(place, "--no-push", f"--context={url}"))
        assert status in (None, done.status), done.output
        assert place.found(log=done.output) == []


@pytest.mark.parametrize("everything", [False, True], ids=["the builder alone", "with its keeper"])
def test_a_build_that_is_killed_in_the_middle(place: Place, everything: bool) -> None:
    place.write(
        "Dockerfile",
        f"FROM {place.world.registry.host}/busybox\n"
        f'RUN {MOUNTS} test -s /run/secrets/file && test -n "$TOKEN" && touch /go && sleep 1000\n',
    )
    process = subprocess.Popen(place.argv(*_words(place, "--no-push")), stdout=subprocess.PIPE, text=True)
    root = Path(os.fsdecode(root_of(place.container)))
    try:
        wait_until((root / "go").exists, "the command")
        assert place.found(), "the search finds nothing"
        builders = place.inhabitants.of("/kaniko/executor")
        for each in reversed(builders) if everything else builders[:1]:  # the keeper first
            signalled(each.pid, signal.SIGKILL)
        output, _ = process.communicate(timeout=30)
    finally:
        stop(process)
    if everything:
        assert place.container.run("executor", "--help").status == 0
    wait_until(
        lambda: not (root / "go").exists() and not place.inhabitants.of("/kaniko/", "sleep 1000"), "the keeper"
    )
    place.write("Dockerfile", f"FROM {place.world.registry.host}/busybox\nRUN test ! -e /run/secrets/file\n")
    assert place.run(*_words(place, "--no-push")).status == 0
    assert place.found(log=output) == []
