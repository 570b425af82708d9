"""Commands that do to the container what they can: their build ends properly, and the container is as before.

What a command in place cannot do, because the builder holds it off: read what other processes have in memory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.support.builders import Docker
from integration.support.container import Container, Exec, started
from integration.support.inhabitants import Inhabitants
from integration.support.outside import Seen, differences, look_at, root_of
from integration.support.programs import stop, wait_until

_PROGRAMS = ("/kaniko/executor", "/kaniko/krunner", "sleep 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A container, and what was seen of it before the first build."""

    container: Container
    inhabitants: Inhabitants
    before: Seen
    base: str

    def begin(self, *lines: str) -> subprocess.Popen[str]:
        """Begin a build of these lines upon busybox."""
        (self.container.workspace / "Dockerfile").write_text("\n".join((f"FROM {self.base}", *lines, "")))
        return subprocess.Popen(
            self.container.argv(*self.container.executor("--context=/workspace", "--no-push")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def build(self, *lines: str) -> Exec:
        """Build these lines upon busybox."""
        process = self.begin(*lines)
        try:
            output, _ = process.communicate(timeout=100)
        finally:
            stop(process)
        return Exec(status=process.returncode, output=output)

    def seen_inside(self, name: str) -> bool:
        """Whether a file is in the container's root now."""
        return Path(root_of(self.container).decode(), name).exists()

    def as_before(self) -> bool:
        """Whether the root is what it was and nothing runs that a build started."""
        return not differences(look_at(self.container), self.before) and not self.inhabitants.of(*_PROGRAMS)


def _victim(container: Container, base_host: str) -> Victim:
    return Victim(
        container=container,
        inhabitants=Inhabitants(container),
        before=look_at(container),
        base=f"{base_host}/busybox",
    )


@pytest.fixture(scope="module")
def one_for_all(krunner_images: Docker, work: Path, base_host: str) -> Iterator[Victim]:
    workspace = work / "hostile-commands" / "workspace"
    workspace.mkdir(parents=True)
    with started(krunner_images, workspace, "--pids-limit=150", "--env=CI_TOKEN=in-the-container") as container:
        yield _victim(container, base_host)


@pytest.fixture
def victim(one_for_all: Victim) -> Iterator[Victim]:
    """After each test the container is as before, and the next image builds."""
    yield one_for_all
    assert differences(look_at(one_for_all.container), one_for_all.before) == {}
    assert one_for_all.inhabitants.of(*_PROGRAMS) == []
    done = one_for_all.build("RUN test ! -e /mark && touch /mark")
    assert done.status == 0, done.output
    assert one_for_all.container.run("/bin/sh", "-c", "pwd").output == "/workspace\n"
    assert one_for_all.as_before()


_REMOVED = "which the build works in"
_BEYOND = "in place it reaches more than its image"
_REPAIRED = "it is as it was again"
_KILLS_ITS_GUARD = "(setsid sleep 1000 &); (setsid sleep 1001 >&- 2>&- &); kill -9 $PPID; sleep 1002"
_WHAT_ROOT_MAY = (
    "! mount -t tmpfs t /mnt && ! umount /proc && date -s 2000-01-01; test $(date +%Y) != 2000 "
    "&& ! hostname x && ! chroot /proc/1/root true && mknod /disk b 254 0 && ! cat /disk > /dev/null && rm /disk"
)
_OPEN_FILES = (
    "mkfifo /p; (sleep 1000 < /p &); (sleep 1000 > /p &); (exec 3> /held; sleep 1000 &); "
    "(while :; do echo x >> /held; done &)"
)
_COMMANDS = {
    "removes the builder": ("rm -rf /kaniko", 1, _REMOVED),
    "moves the builder": ("mv /kaniko /elsewhere; ln -s elsewhere /kaniko", None, ""),
    "removes what was put aside": ("rm -rf /kaniko/takeover", 0, _REPAIRED),
    "moves what was put aside": ("mv /kaniko/takeover /x; mkdir /kaniko/takeover", 0, ""),
    "removes the store": ("rm -rf /kaniko/store", 1, _REMOVED),
    "empties the store": ("find /kaniko/store -type f -exec rm {} + ; true", 0, ""),
    "removes everything": ("rm -rf /* 2> /dev/null; true", 1, _REMOVED),
    "renames everything": ('for name in /*; do mv $name $name.x; done 2> /dev/null; true', 1, _BEYOND),
    "takes every mode away": ("chmod -R 000 / 2> /dev/null; true", 0, _REPAIRED),
    "takes the modes of the root away": ("chmod 000 / /kaniko /kaniko/*", 0, _REPAIRED),
    "gives everything away": ("chown 99:99 / /kaniko /kaniko/* /etc /bin", 0, _REPAIRED),
    "replaces credentials": ("echo {} > /kaniko/.docker/config.json", 0, _REPAIRED),
    "empties the builder": (
        'find / -xdev -path "*/python3.11/*" -type f ! -name "*.so" -exec sh -c ": > {}" \\;',
        0,
        _REPAIRED,
    ),
    "moves a mount": ("mv /sbin /s", 1, "renamed /sbin, where this container has a mount"),
    "spoils devices": ("rm -f /dev/null /dev/zero; mkdir /dev/null; touch /dev/shm/x", 0, ""),
    "kills who watches it": (_KILLS_ITS_GUARD, 137, ""),
    "tries what only root of the machine may": (_WHAT_ROOT_MAY, 0, ""),
    "keeps files and pipes open": (_OPEN_FILES, 0, ""),
    "names files oddly": ("cd /tmp && touch \"$(printf 'a\\nb')\" \"$(printf '\\377')\" -- '-rf *'", 0, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_command_that(victim: Victim, name: str) -> None:
    command, status, said = _COMMANDS[name]
    done = victim.build(f"RUN touch /mark; {command}")
    assert done.status in ((0, 1) if status is None else (status,)), done.output  # None: as the file system can
    assert said in done.output
    assert "Traceback" not in done.output
    assert "bug of ours" not in done.output


def test_a_fork_bomb(victim: Victim) -> None:
    """Bounded by the container's limit of processes."""
    done = victim.build("RUN b() { b | b & }; b; b; sleep 1; exit 4")
    assert done.status in (2, 4), done.output


def test_another_stage_is_not_changed_unseen(victim: Victim) -> None:
    lines = ("RUN touch /kept.old", f"FROM {victim.base}", "RUN find / -xdev -name '*.old' -exec rm {} +")
    done = victim.build(*lines, "COPY --from=0 /kept.old /")
    assert done.status == 1
    assert "Dockerfile:4:1: the command changed files of another stage" in done.output


@pytest.mark.parametrize("everything", [False, True], ids=["the builder alone", "with its keeper"])
def test_the_builder_is_killed_while(victim: Victim, everything: bool) -> None:
    """As long as there is the keeper, /kaniko may be gone; without, the next program needs what is recorded."""
    hide = "(setsid /busybox/sleep 1000 &); setuidgid app sleep 1001 & "
    remove = "touch /kaniko/store/x" if everything else "rm -rf /kaniko"
    spoil = "chmod a-s /kaniko/store/unpacked/*/fs/opt/suid"
    process = victim.begin(f"RUN {hide} touch /mark; {spoil}; {remove}; touch /go; sleep 1002")
    try:
        wait_until(lambda: victim.seen_inside("go"), "the command")
        assert not victim.as_before()
        found = victim.inhabitants.of("/kaniko/executor")
        for each in found if everything else found[:1]:
            subprocess.run(["kill", "-KILL", str(each.pid)], check=False)  # one may end with another
        process.communicate(timeout=30)
        assert process.returncode == 137
    finally:
        stop(process)
    if everything:
        assert victim.container.run("executor", "--help").status == 0
    wait_until(victim.as_before, "the keeper")
    assert victim.build("RUN test -u /opt/suid").status == 0


def test_everything_is_killed(krunner_images: Docker, work: Path, base_host: str) -> None:
    """`kill -9 -1` reaches all but process 1; the next build finds the image in `/` and cleans up."""
    workspace = work / "hostile-commands" / "all-killed"
    workspace.mkdir()
    with started(krunner_images, workspace, init=False) as container:
        victim = _victim(container, base_host)
        assert victim.build("RUN touch /mark; kill -9 -1; sleep 5").status == 137
        done = victim.build("RUN test ! -e /mark")
        assert done.status == 0, done.output
        assert victim.as_before()


_SPY = (
    "RUN cd /proc; for p in [0-9]*; do test $p = $$ && continue; name=$(tr '\\0' ' ' < /proc/$p/cmdline); "
    'for file in environ mem maps exe root/etc cwd/ fd/0; do cat /proc/$p/$file > /out 2> /dev/null || '
    'readlink /proc/$p/$file > /out 2> /dev/null && echo "SEEN $file of $name"; done; done; true'
)  # fmt: skip


def test_no_other_process_can_be_looked_into(victim: Victim) -> None:
    done = victim.build(_SPY)
    assert done.status == 0, done.output
    assert [line for line in done.output.splitlines() if line.startswith("SEEN")] == []


def test_nor_can_the_builder_where_there_is_no_capability_to_spare(
    krunner_images: Docker, work: Path, base_host: str
) -> None:
    workspace = work / "hostile-commands" / "few-capabilities"
    workspace.mkdir()
    few = ("--cap-drop=AUDIT_WRITE", "--cap-drop=SETPCAP")
    with started(krunner_images, workspace, *few) as container:
        done = _victim(container, base_host).build(_SPY)
    seen = [line for line in done.output.splitlines() if line.startswith("SEEN")]
    assert any("environ of sleep" in line for line in seen), done.output  # a control: the command does look
    assert [line for line in seen if "/kaniko/" in line] == []
