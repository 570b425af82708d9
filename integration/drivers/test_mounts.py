"""What a command finds mounted in its root, on every driver, and that none of it stays. Needs root."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from executor.errors import NotSupportedError, StepError
from executor.rootfs.base import BindMount, CommandMount, RootFs, SecretMount, TmpfsMount
from integration.drivers.children import in_child
from integration.drivers.conftest import MakeDriver
from integration.drivers.layers import busybox
from integration.drivers.test_contract import names, opened, run
from tests.support.layers import directory, file, symlink

pytestmark = pytest.mark.root
PLAIN = "chroot without mounts"


@pytest.fixture
def mounts_work(request: pytest.FixtureRequest) -> bool:
    """Whether the driver under test may mount."""
    return PLAIN not in request.node.name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory to mount."""
    (tmp_path / "source" / "sub").mkdir(parents=True)
    (tmp_path / "source" / "file").write_text("content\n")
    return tmp_path / "source"


def seen(root: RootFs, script: str, *mounts: CommandMount, expect: int = 0, **fields: object) -> list[str]:
    return run(root, script, expect=expect, mounts=mounts, **fields)


@in_child
def test_a_directory_and_a_file(make_driver: MakeDriver, source: Path) -> None:
    with opened(make_driver(), busybox(), [directory("there"), file("there/own")]) as (root, _):
        mounts = (
            BindMount(source=str(source), target="/a/new/place"),
            BindMount(source=str(source / "file"), target="/etc/file"),
            BindMount(source=str(source), target="/there"),
        )
        assert seen(root, "cat /a/new/place/file /etc/file; ls /there", *mounts) == [
            "content", "content", "file", "sub",
        ]  # fmt: skip
        assert names(root) == []
        assert os.listdir(f"{root.path}/there") == ["own"]


@in_child
def test_what_is_read_only_stays_as_it_was(make_driver: MakeDriver, mounts_work: bool, source: Path) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        script = "echo more >> /m/file || echo refused; touch /m/new || echo refused"
        lines = seen(root, script, BindMount(source=str(source), target="/m"))
        assert lines.count("refused") == (2 if mounts_work else 0)
        assert (source / "file").read_text() == "content\n"
        assert sorted(os.listdir(source)) == ["file", "sub"]
        assert names(root) == []


@in_child
def test_what_is_kept_is_there_afterwards(make_driver: MakeDriver, source: Path) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        cache = BindMount(source=str(source), target="/root/.cache/x", read_only=False, keep=True)
        seen(root, "echo 1 > /root/.cache/x/new; rm /root/.cache/x/file; exit 3", cache, expect=3)
        assert seen(root, "ls /root/.cache/x; echo made > /made", cache) == ["new", "sub"]
        assert sorted(os.listdir(source)) == ["new", "sub"]
        assert names(root) == ["made"]


@in_child
def test_a_tmpfs(make_driver: MakeDriver, mounts_work: bool) -> None:
    with opened(make_driver(), busybox(), [directory("d", mode=0o750), file("d/own")]) as (root, _):
        mounts = (TmpfsMount(target="/d"), TmpfsMount(target="/new"))
        script = "ls /d; echo x > /d/x; echo x > /new/x; stat -c %a /d /new"
        assert seen(root, script, *mounts) == ["750", "1777"]
        small = TmpfsMount(target="/small", size=64 << 10)
        if mounts_work:
            fill = "head -c 100000 /dev/zero > /small/x; stat -c %s /small/x"
            assert seen(root, fill, small)[-1] == str(64 << 10)
        else:
            with pytest.raises(NotSupportedError, match=r"a tmpfs with a size \(/small\)"):
                seen(root, "true", small)
        assert names(root) == []
        assert os.listdir(f"{root.path}/d") == ["own"]


@in_child
def test_a_secret(make_driver: MakeDriver, mounts_work: bool) -> None:
    secret = SecretMount(target="/run/secrets/key", content=b"hush", uid=7, gid=8, mode=0o440)
    assert "hush" not in repr(secret)
    with opened(make_driver(), busybox(), [directory("run")]) as (root, _):
        if not mounts_work:
            with pytest.raises(NotSupportedError, match="a secret as a file"):
                seen(root, "true", secret)
            return
        script = "stat -c '%a %u %g' $0; cat $0; echo; echo x > $0"
        fields = {"argv": ("sh", "-c", script, secret.target)}
        lines = run(root, "", expect=1, mounts=(secret,), **fields)
        assert lines[:2] == ["440 7 8", "hush"]
        assert "Read-only file system" in lines[2]
        assert names(root) == []
        assert os.listdir(f"{root.path}/run") == []


@in_child
def test_mounts_inside_of_mounts(make_driver: MakeDriver, source: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with opened(make_driver(), busybox(), [symlink("link", "/real"), directory("real")]) as (root, _):
        mounts = (
            TmpfsMount(target="/link/t"),
            BindMount(source=str(source), target="/link/t/deep/b"),
            BindMount(source=str(inner), target="/link/t/deep/b/sub", read_only=False, keep=True),
        )
        assert seen(root, "cat /real/t/deep/b/file; echo x > /real/t/deep/b/sub/new", *mounts) == ["content"]
        assert os.listdir(inner) == ["new"]
        assert os.listdir(source / "sub") == []
        assert names(root) == []


@in_child
def test_a_link_out_of_the_root_leads_nowhere_else(make_driver: MakeDriver, source: Path) -> None:
    with opened(make_driver(), busybox(), [symlink("out", "../../../..")]) as (root, _):
        assert seen(root, "cat /m/file", BindMount(source=str(source), target="/out/m")) == ["content"]
        assert not os.path.exists("/m")
        assert names(root) == []


@in_child
def test_no_place(make_driver: MakeDriver, source: Path) -> None:
    with opened(make_driver(), busybox(), [file("f"), directory("d")]) as (root, _):
        for mount, reason in (
            (BindMount(source=str(source), target="/f"), "cannot mount a directory on /f: something else"),
            (BindMount(source=str(source / "file"), target="/d"), "cannot mount a file on /d: something else"),
            (TmpfsMount(target="/f/below"), "cannot mount"),
        ):
            with pytest.raises(StepError, match=reason):
                seen(root, "true", mount)
            assert names(root) == []


@in_child
def test_without_network(make_driver: MakeDriver, mounts_work: bool) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        if not mounts_work:
            with pytest.raises(NotSupportedError, match=r"--network=none .*chroot driver"):
                seen(root, "true", network=False)
            return
        lines = seen(root, "ip -o address | grep -v inet6", network=False)
        assert [line.split()[1:4] for line in lines if "inet" in line] == [["lo", "inet", "127.0.0.1/8"]]
        assert len(lines) <= 2
        assert len(seen(root, "cat /proc/net/route", network=False)) == 1
        assert len(seen(root, "ls /proc/self/net/; cat /proc/net/dev")) >= 3


@in_child
def test_a_socket(make_driver: MakeDriver, tmp_path: Path) -> None:
    with opened(make_driver(), busybox()) as (root, _), socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        mount = BindMount(source=str(tmp_path / "s"), target="/run/agent/0")
        assert seen(root, "test -S /run/agent/0 && echo yes", mount) == ["yes"]
        assert names(root) == []


@in_child
def test_what_the_command_removes(make_driver: MakeDriver, source: Path) -> None:
    """The mount point cannot be removed, and what the command puts beside it stays."""
    with opened(make_driver(), busybox()) as (root, _):
        script = "rm -rf /opt/m; echo x > /opt/beside"
        seen(root, script, BindMount(source=str(source), target="/opt/m"))
        assert names(root) == ["opt", "opt/beside"]
        assert (source / "file").exists()


@in_child
def test_the_machine_has_the_name_that_buildkit_gives_and_knows_itself(
    make_driver: MakeDriver, mounts_work: bool
) -> None:
    ours = socket.gethostname()
    with opened(make_driver(), busybox()) as (root, _):
        for fields, name in (({}, "buildkitsandbox"), ({"host_name": "other"}, "other")):
            shown, *hosts = run(root, "hostname; cat /etc/hosts", **fields)
            assert shown == (name if mounts_work else ours)
            assert hosts[-1] == f"127.0.0.1\t{name}" or not mounts_work
        assert names(root) == []
    assert socket.gethostname() == ours


def no_such_call(*_arguments: object) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("kernel", ["as it is", "before 5.12"])
@in_child
def test_root_of_a_command_is_not_root_of_the_machine(
    make_driver: MakeDriver, mounts_work: bool, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not mounts_work:
        return  # its /proc is empty, and it has no /sys
    if kernel != "as it is":
        monkeypatch.setattr("executor.rootfs.kernel.syscalls.make_tree_read_only", no_such_call)
    with opened(make_driver(), busybox()) as (root, _):
        for network in (True, False):
            mounts = [line.split() for line in seen(root, "cat /proc/self/mountinfo", network=network)]
            options = {point: kinds.split(",") for _, _, _, _, point, kinds, *_ in mounts}
            writable = [point for point, found in options.items() if "ro" not in found]
            assert not [point for point in writable if f"{point}/".startswith("/sys/")]
        assert "ro" in options["/proc/sys"]
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
            assert seen(root, f"(: >> {path}) 2> /dev/null || echo refused") == ["refused"]
        for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list"):
            assert seen(root, f"[ ! -e {path} ] || cat {path}") == []
        assert seen(root, "echo 0 > /proc/self/oom_score_adj && cat /proc/self/oom_score_adj") == ["0"]
