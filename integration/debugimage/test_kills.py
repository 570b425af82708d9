"""Builds that are killed in the middle: the container is as it was, at once or before the next build begins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.support.builders import Docker
from integration.support.container import Container, started
from integration.support.outside import Seen, differences, look_at, root_of
from integration.support.programs import stop, wait_until

_WAIT = ": > /started; sleep 999"
_STRICT = "umask 077; exec executor --rootfs=in-place --insecure-pull --context=. --no-push"
_LIST = """
version: 1
defaults: {{insecure: true, no_push: true}}
builds:
  - {{name: one, context: ., dockerfile: one.Dockerfile}}
  - {{name: two, context: ., dockerfile: two.Dockerfile}}
"""


@pytest.fixture(scope="module")
def container(krunner_images: Docker, work: Path) -> Iterator[Container]:
    """One container for all tests, with a volume and read-only mounts as a pod has them."""
    workspace = work / "kills" / "workspace"
    workspace.mkdir(parents=True)
    token = work / "kills" / "token"
    token.mkdir()
    (token / "token").write_text("secret")
    mounts = (f"--volume={token}:/var/run/secrets/kubernetes.io/serviceaccount:ro", "--tmpfs=/cache")
    with started(krunner_images, workspace, *mounts) as container:
        yield container


@pytest.fixture
def killed(container: Container, base_host: str, before: Seen) -> Iterator[subprocess.Popen[bytes]]:
    """A build in the middle of a command that has daemons and has spoiled what it can reach of the container."""
    spoil = "rm -f /dev/full /kaniko/ssl/certs/*; chmod 600 /dev/zero /busybox; mkdir /dev/shm/left"
    write(
        container,
        f"FROM {base_host}/busybox",
        f"RUN (setsid sleep 1001 &); (trap '' TERM; while sleep 0.01; do : > /again; done &); {spoil}; {_WAIT}",
    )
    process = begun(container, "/bin/sh", "-c", _STRICT)
    wait_until(lambda: seen_inside(container, "started"), "the command")
    assert differences(look_at(container), before)
    yield process
    stop(process)
    assert processes(container) == 0


def write(container: Container, *lines: str, name: str = "Dockerfile") -> None:
    (container.workspace / name).write_text("\n".join(lines))


def begun(container: Container, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(container.argv(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seen_inside(container: Container, name: str) -> bool:
    return Path(root_of(container).decode(), name).exists()


def processes(container: Container) -> int:
    """How many processes the container has beside the two that it was started with."""
    return len(container.processes()) - 2


def kill(
    container: Container, signal: str, choose: Callable[[list[int]], list[int]], program: str = "executor"
) -> None:
    """Send a signal to some of the builder's processes; they are given in the order in which they were started."""
    found = sorted(map(int, container.run("/busybox/pidof", program).output.split()))
    container.run("/busybox/kill", f"-{signal}", *map(str, choose(found)))


def is_as_before(container: Container, before: Seen) -> bool:
    return not differences(look_at(container), before)


def build_again(container: Container, base_host: str) -> str:
    """A build that would notice leftovers; what it said."""
    write(container, f"FROM {base_host}/busybox", "RUN test ! -e /started -a ! -e /again && test -c /dev/full")
    done = container.run("/bin/sh", "-c", _STRICT)
    assert done.status == 0, done.output
    return done.output


def test_sigterm(killed: subprocess.Popen[bytes], container: Container, before: Seen) -> None:
    kill(container, "TERM", lambda found: found[:1])
    assert killed.wait(timeout=30) == 143
    assert differences(look_at(container), before) == {}


def test_the_builder_is_killed(
    killed: subprocess.Popen[bytes], container: Container, before: Seen, base_host: str
) -> None:
    kill(container, "KILL", lambda found: found[:1])
    assert killed.wait(timeout=30) == 137
    wait_until(lambda: is_as_before(container, before), "the keeper")
    assert "as it was again" not in build_again(container, base_host)


@pytest.mark.parametrize("program", ["executor", "krunner"])
def test_everything_is_killed(
    killed: subprocess.Popen[bytes], container: Container, before: Seen, base_host: str, program: str
) -> None:
    kill(container, "KILL", lambda found: found)
    assert killed.wait(timeout=30) == 137
    assert differences(look_at(container), before)
    done = container.run(program, "--help")
    assert done.status == 0
    assert "the container is as it was again" in done.output
    assert differences(look_at(container), before) == {}
    assert "as it was again" not in build_again(container, base_host)


def test_everything_was_killed_while_it_wrote_a_record(container: Container, before: Seen, base_host: str) -> None:
    begun_record = "/kaniko/takeover/journal.json.71-0123abcd"
    done = container.run("/busybox/touch", begun_record)
    assert done.status == 0, done.output
    build_again(container, base_host)
    assert container.run("/busybox/test", "-e", begun_record).status == 1
    assert differences(look_at(container), before) == {}


def test_the_worker_of_a_list_is_killed(container: Container, before: Seen, base_host: str) -> None:
    write(
        container,
        f"FROM {base_host}/busybox",
        "RUN : > /started; sleep 999",
        name="one.Dockerfile",
    )
    write(container, f"FROM {base_host}/busybox", "RUN test ! -e /started", name="two.Dockerfile")
    write(container, _LIST.format(), name="builds.yaml")
    process = begun(container, "krunner", "--rootfs=in-place", "builds.yaml")
    try:
        wait_until(lambda: seen_inside(container, "started"), "the command")
        script = "kill -KILL $(cat /proc/$(pidof sleep | tr ' ' '\\n' | sort -n | tail -1)/stat | cut -d' ' -f4)"
        assert container.run("/busybox/sh", "-c", script).status == 0
        assert process.wait(timeout=60) == 1
    finally:
        stop(process)
    assert differences(look_at(container), before) == {}


def test_everything_is_killed_while_it_unpacks(
    container: Container, before: Seen, debian_host: str, base_host: str
) -> None:
    write(container, f"FROM {debian_host}/debian", "RUN true")
    process = begun(container, "/bin/sh", "-c", _STRICT)
    work = Path(root_of(container).decode(), "kaniko", "store", "work")
    try:
        wait_until(lambda: any(work.glob("*/unpack-*/fs/usr")), "the unpacking")
        kill(container, "KILL", lambda found: found)
        assert process.wait(timeout=30) == 137
    finally:
        stop(process)
    assert differences(look_at(container), before) == {}
    assert any(work.glob("*/unpack-*"))
    build_again(container, base_host)
    assert not any(work.iterdir())


def test_the_runner_is_killed_while_an_image_is_unpacked(
    container: Container, before: Seen, debian_host: str, base_host: str
) -> None:
    """Its other processes end by themselves."""
    write(container, f"FROM {debian_host}/debian", "RUN true", name="one.Dockerfile")
    write(container, f"FROM {base_host}/busybox", "RUN test ! -e /var/lib/dpkg", name="two.Dockerfile")
    write(container, _LIST.format(), name="builds.yaml")
    process = begun(container, "krunner", "--rootfs=in-place", "builds.yaml")
    work = Path(root_of(container).decode(), "kaniko", "store", "work")
    try:
        wait_until(lambda: any(work.glob("*/unpack-*/fs/usr")), "the unpacking")
        kill(container, "KILL", lambda found: found[:1], "krunner")
        assert process.wait(timeout=30) == 137
        wait_until(lambda: processes(container) == 0, "the end of the others")
    finally:
        stop(process)
    assert differences(look_at(container), before) == {}
    done = container.run("krunner", "--rootfs=in-place", "builds.yaml")
    assert done.status == 0, done.output
    assert not any(work.iterdir())
    assert differences(look_at(container), before) == {}


def test_a_shell_of_the_container_works_meanwhile(
    killed: subprocess.Popen[bytes], container: Container, before: Seen
) -> None:
    done = container.run("/busybox/sh", "-c", "pwd; cat Dockerfile | wc -l; ls -d /kaniko /var/run/secrets; id -u")
    assert done.output.split() == ["/workspace", "1", "/kaniko", "/var/run/secrets", "0"]
    assert container.run("/kaniko/executor", "--help").status == 0
    kill(container, "INT", lambda found: found[:1])
    assert killed.wait(timeout=30) == 130
    done = container.run(
        "/bin/sh", "-c", "pwd; echo $HOME; cat /var/run/secrets/kubernetes.io/serviceaccount/token"
    )
    assert done.output == "/workspace\n/root\nsecret"
    assert differences(look_at(container), before) == {}
