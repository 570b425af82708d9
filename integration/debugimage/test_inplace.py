"""The in-place driver where it belongs: in containers that may mount nothing."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from integration.differential.cases import run
from integration.differential.known_differences import known_for
from integration.differential.reference import build, reference_image
from integration.support.bases import REGISTRY_NAME
from integration.support.builders import Case, Docker
from integration.support.compare import compare_configs, compare_trees
from integration.support.container import Container, Exec, Listing, started
from integration.support.programs import stop, wait_until

_TOKEN = "h0sh-7261-in-memory"
_POD = ("--tmpfs=/var/run/secrets/kubernetes.io/serviceaccount:ro", "--tmpfs=/mnt/cache")


@pytest.fixture(scope="module")
def container(krunner_images: Docker, work: Path) -> Iterator[Container]:
    """One container for all tests, with mounts as a pod has them."""
    workspace = work / "in-place" / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "checkout").write_text("precious")
    config = work / "in-place" / "config.json"
    config.write_text("{}")
    mount = f"--volume={config}:/kaniko/.docker/config.json:ro"
    with started(krunner_images, workspace, mount, *_POD) as container:
        yield container


@pytest.fixture(scope="module")
def baseline(container: Container) -> Listing:
    """The container's root before the first build."""
    return container.listing()


@pytest.fixture(autouse=True)
def as_before(container: Container, baseline: Listing, request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test (once after all cases) the container is as it was: root, processes, shell, workspace."""
    if "case" in request.fixturenames:
        yield
        return
    before = container.processes()
    yield
    assert differences(container.listing(), baseline) == {}
    assert container.run("/bin/sh", "-c", "pwd; cat checkout").output == "/workspace\nprecious"
    assert container.processes() == before


def differences(now: Listing, before: Listing) -> dict[str, tuple[object, object]]:
    names = now.keys() | before.keys()
    return {name: (before.get(name), now.get(name)) for name in names if now.get(name) != before.get(name)}


def attempt(container: Container, *lines: str, env: Mapping[str, str] | None = None) -> Exec:
    """Build a Dockerfile of these lines."""
    return container.run(*argv(container, *lines), env=env)


def argv(container: Container, *lines: str) -> tuple[str | Path, ...]:
    (container.workspace / "Dockerfile").write_text("\n".join(lines))
    return container.executor("--context=/workspace", "--no-push")


@pytest.mark.parametrize("case", run.CASES, ids=lambda case: case.name)
def test_builds_the_same_image(case: Case, container: Container, docker: Docker, base_host: str) -> None:
    expected = reference_image(docker, case, hosts={})
    ours = build(container, case.at({REGISTRY_NAME: base_host}))
    found = [*compare_trees(ours.tree, expected.tree), *compare_configs(ours.config, expected.config)]
    known = known_for(case.name, "in-place", "docker")
    assert not [str(one) for one in found if not any(row.covers(one) for row in known)]


def test_a_failed_command_leaves_nothing(container: Container, base_host: str) -> None:
    done = attempt(container, f"FROM {base_host}/busybox", "RUN echo x > /left; (sleep 1000 &); exit 7")
    assert done.status == 7


def test_what_outlives_its_processes_is_removed(container: Container, debian_host: str) -> None:
    """Shared memory, semaphores and queues of System V, of several users."""
    program = (
        r"shmget(\$\$, 9, 01600) // die;"
        r"my \$s = semget(\$\$, 2, 01600) // die; semop(\$s, pack(q(s3), 0, 1, 0)) or die;"
        r"my \$q = msgget(\$\$, 01600) // die; msgsnd(\$q, pack(q(l! a*), 1, q(x)), 0) or die"
    )
    make = f'perl -e "{program}"'
    none = 'RUN test "$(cat /proc/sysvipc/* | wc -l)" = 3'
    done = attempt(
        container, f"FROM {debian_host}/debian", none, f"RUN {make} && su -s /bin/sh daemon -c '{make}'", none
    )
    assert done.status == 0, done.output


def test_mount_points_and_the_workspace_stay(container: Container, base_host: str) -> None:
    (container.workspace / "other").write_text("image")
    done = attempt(
        container,
        f"FROM {base_host}/busybox",
        "COPY other /workspace/checkout",
        "RUN rmdir /run /var/run; mkdir -p /run /mnt && ln -s /run /var/run",
        "RUN grep -q precious /workspace/checkout && grep -q ' /mnt/cache ' /proc/mounts && echo 1 > /var/run/pid",
        f"FROM {base_host}/busybox",
        "COPY --from=0 / /copied",
        "RUN grep -q image /copied/workspace/checkout && test -L /copied/var/run && test -f /copied/run/pid",
    )
    assert done.status == 0, done.output
    assert "/workspace of the image cannot be seen" in done.output


def test_what_a_command_makes_at_a_mount_of_the_container_is_the_images(
    container: Container, base_host: str
) -> None:
    """The driver of `auto` leaves commands that speak of such places to chroot."""
    lines = (
        f"FROM {base_host}/busybox",
        "RUN mkdir /mnt && touch /mnt/mine && mkdir -m 700 /workspace && chown app /workspace",
        f"FROM {base_host}/busybox",
        "COPY --from=0 / /copied",
        "RUN test -f /copied/mnt/mine -a ! -e /copied/mnt/cache -a ! -e /copied/workspace/checkout",
        "RUN test -d /proc/1",
    )
    (container.workspace / "Dockerfile").write_text("\n".join(lines))
    done = container.run("executor", "--insecure-pull", "--context=/workspace", "--no-push")
    assert done.status == 0, done.output
    assert done.output.count("/mnt is in use in this container: running by chroot, without /proc") == 1


def test_what_goes_through_everything_meets_no_other_stage(container: Container, base_host: str) -> None:
    """The driver of `auto` leaves it to chroot."""
    lines = (
        f"FROM {base_host}/busybox",
        "RUN touch /first.pyc",
        f"FROM {base_host}/busybox",
        "COPY --from=0 /first.pyc /",
        "RUN find / -xdev -name '*.pyc' -exec rm {} + ; test ! -e /first.pyc",
        "COPY --from=0 /first.pyc /second.pyc",
    )
    (container.workspace / "Dockerfile").write_text("\n".join(lines))
    done = container.run("executor", "--insecure-pull", "--context=/workspace", "--no-push")
    assert done.status == 0, done.output


_SPOIL = "RUN find / -xdev -perm +6000 -type f -exec chmod a-s {} + ; test ! -u /opt/suid"
_AS_BEFORE = "RUN test -u /opt/suid -a ! -e /srv/left && grep -q root /etc/passwd"


def test_what_a_command_does_to_the_tree_of_another_stage_is_undone(container: Container, base_host: str) -> None:
    base = f"FROM {base_host}/busybox"
    done = attempt(container, base, _SPOIL, base, _AS_BEFORE, "COPY --from=0 /opt/suid /")
    assert done.status == 0, done.output


def test_the_next_build_finds_its_base_as_it_was(container: Container, base_host: str) -> None:
    base = f"FROM {base_host}/busybox"
    leave = "mkdir -p /srv/left/more; echo evil > /etc/passwd; rm -r /opt"
    for last in (f"RUN {leave}", f"RUN {leave}; exit 3"):
        done = attempt(container, base, _SPOIL, last)
        assert done.status == (3 if "exit" in last else 0), done.output
        done = attempt(container, base, _AS_BEFORE)
        assert done.status == 0, done.output


def test_what_only_looks_changed_is_in_no_layer(container: Container, base_host: str) -> None:
    """Whoever owns a file already, and is given it: only then the base is unpacked for a comparison."""
    work = "chown -R 0:0 /etc && chmod 755 /etc && mv /opt /moved && mv /moved /opt"
    done = attempt(container, f"FROM {base_host}/busybox", f"RUN {work}")
    assert done.status == 0, done.output
    assert "done in" in done.output
    assert "layer of" not in done.output


def test_the_tools_of_the_container_run_meanwhile(container: Container, base_host: str) -> None:
    words = argv(container, f"FROM {base_host}/busybox", "RUN touch /started && sleep 3")
    process = subprocess.Popen(container.argv(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: container.run("/busybox/sh", "-c", "test -e /started").status == 0, "the command")
        assert container.run("/busybox/cat", "/workspace/checkout").output == "precious"
        assert process.wait(timeout=30) == 0
    finally:
        stop(process)


@pytest.mark.parametrize("signal", ["TERM", "INT"])
def test_a_signal_during_a_command(container: Container, base_host: str, signal: str) -> None:
    process = begun(container, base_host)
    try:
        builder = min(map(int, container.run("/busybox/pidof", "executor").output.split()))
        container.run("/busybox/kill", f"-{signal}", str(builder))
        assert process.wait(timeout=30) == {"TERM": 143, "INT": 130}[signal]
    finally:
        stop(process)


def test_after_a_kill_the_next_build_cleans_up_first(container: Container, base_host: str) -> None:
    process = begun(container, base_host)
    try:
        container.run("/busybox/sh", "-c", "kill -KILL $(pidof executor)")
        assert process.wait(timeout=30) == 137
    finally:
        stop(process)
    done = attempt(container, f"FROM {base_host}/busybox", "RUN test ! -e /started")
    assert done.status == 0, done.output
    assert "the container is as it was again" in done.output


def test_what_a_command_writes_into_hosts_does_not_stay(container: Container, base_host: str) -> None:
    before = container.run("/busybox/cat", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname").output
    done = attempt(
        container,
        f"FROM {base_host}/busybox",
        "RUN for f in hosts resolv.conf hostname; do echo '10.0.0.1 mine' >> /etc/$f; done",
        "RUN ! grep mine /etc/hosts /etc/resolv.conf /etc/hostname",
    )
    assert done.status == 0, done.output
    assert container.run("/busybox/cat", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname").output == before


def test_a_secret_is_a_file_in_memory(container: Container, base_host: str) -> None:
    is_it = f"md5sum | grep -q {hashlib.md5(_TOKEN.encode()).hexdigest()}"  # the history shows the commands
    words = argv(
        container,
        f"FROM {base_host}/busybox",
        f"RUN --mount=type=secret,id=token cat /run/secrets/token | {is_it} && "
        "test $(stat -Lc %a:%u /run/secrets/token) = 400:0 && stat -Lfc %T /run/secrets/token | grep -q tmpfs",
        f"RUN --mount=type=secret,id=token,target=/etc/group cat /etc/group | {is_it}",
        "USER app",
        "RUN --mount=type=secret,id=token ! cat /run/secrets/token",
        f"RUN --mount=type=secret,id=token,uid=1000,target=/home/app/t cat ~/t | {is_it}",
        "RUN test ! -e /run/secrets && test ! -e ~/t && grep -q app: /etc/group && test ! -e /dev/krunner-secrets",
    )
    done = container.run(*words, "--secret=id=token,env=TOKEN", env={"TOKEN": _TOKEN})
    assert done.status == 0, done.output
    find = f"ls /dev | grep krunner; find /kaniko/store -type f | xargs grep -l {_TOKEN}"
    assert container.run("/busybox/sh", "-c", find).output == ""


def test_after_a_kill_no_secret_is_left(container: Container, base_host: str) -> None:
    process = begun(container, base_host, flags="--mount=type=secret,id=token")
    try:
        assert container.run("/busybox/sh", "-c", "cat /dev/krunner-secrets/*").output == _TOKEN
        container.run("/busybox/sh", "-c", "kill -KILL $(pidof executor)")
        assert process.wait(timeout=30) == 137
    finally:
        stop(process)
    assert container.run("executor", "--help").status == 0
    assert container.run("/busybox/sh", "-c", "ls /dev | grep krunner").output == ""


def begun(container: Container, base_host: str, *, flags: str = "") -> subprocess.Popen[bytes]:
    """A build that is in the middle of a command, which has a daemon and a secret."""
    command = f"RUN {flags} (setsid sleep 1001 &); touch /started; sleep 1000"
    words = argv(container, f"FROM {base_host}/busybox", command)
    begin = container.argv(*words, "--secret=id=token,env=TOKEN", env={"TOKEN": _TOKEN})
    process = subprocess.Popen(begin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: container.run("/busybox/sh", "-c", "test -e /started").status == 0, "the command")
    return process


def test_a_hostile_image_does_not_reach_the_builder(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        f"FROM {base_host}/busybox AS evil",
        "RUN mkdir -p /usr/lib/ssl /lib/x86_64-linux-gnu && echo 'hosts: evil' > /etc/nsswitch.conf",
        "RUN echo nonsense > /usr/lib/ssl/openssl.cnf && echo /lib/evil.so > /etc/ld.so.preload",
        "ENV LD_PRELOAD=/evil.so PYTHONHOME=/evil PYTHONSTARTUP=/evil.py",
        "RUN echo still > /here",
        f"FROM {base_host}/busybox",
        "COPY --from=evil /here /here",
    )
    assert done.status == 0, done.output


def test_a_list_with_failures(container: Container, base_host: str) -> None:
    lines = ["version: 1", "defaults: {insecure: true, no_push: true}", "builds:"]
    for number in range(8):
        folder = container.workspace / f"image{number}"
        folder.mkdir()
        command = "exit 3" if number % 3 == 1 else f"test ! -e /mark && echo {number} > /mark"
        (folder / "Dockerfile").write_text(f"FROM {base_host}/busybox\nRUN {command}\n")
        lines.append(f"  - {{name: image{number}, context: image{number}}}")
    (container.workspace / "builds.yaml").write_text("\n".join(lines))
    done = container.run("krunner", "--rootfs=in-place", "/workspace/builds.yaml")
    assert done.status == 1
    assert "3 failed" in done.output
    assert "5 built" in done.output


def test_reports_and_logs_are_written_in_the_root_meanwhile(container: Container, base_host: str) -> None:
    lines = ["version: 1", "defaults: {insecure: true, no_push: true, context: .}", "builds:"]
    for name in ("one", "two"):
        text = f"FROM {base_host}/busybox\\nRUN echo {name}; sleep 1; test ! -e /log"
        lines.append(f'  - {{name: {name}, dockerfile_inline: "{text}"}}')
    (container.workspace / "reports.yaml").write_text("\n".join(lines))
    words = "krunner --rootfs=in-place --report-dir=/reports --events-file=/events.jsonl reports.yaml"
    done = container.run("/bin/sh", "-c", f"{words} > /log 2>&1; echo $? >> /log; cat /log")
    left = container.run(
        "/bin/sh", "-c", "ls /reports; tail -n1 /events.jsonl; rm -rf /reports /events.jsonl /log"
    )
    assert done.output.splitlines()[-1] == "0", done.output
    assert "2 built" in done.output
    assert "result.json" in left.output
    assert '"RunFinished"' in left.output
