"""What every driver must do; see `executor.rootfs.base`. Needs root, and works on folders of its own only."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.errors import InternalError, StepError, UnfitError
from executor.image.layer import EntryType, Layer
from executor.rootfs.base import Driver, Identity, RootFs, RunRequest
from integration.drivers.children import in_child
from integration.drivers.conftest import MakeDriver
from integration.drivers.layers import LayersInMemory, busybox, tree
from integration.support import leftovers
from tests.support.layers import directory, file, item, symlink, whiteout

pytestmark = pytest.mark.root
PATH = {"PATH": "/usr/bin:/bin"}


def run(root: RootFs, script: str, *, expect: int = 0, **fields: object) -> list[str]:
    """Run a shell script in `root` and return its lines."""
    lines: list[str] = []
    request = RunRequest(**({"argv": ("sh", "-c", script), "environment": PATH} | fields))  # type: ignore[arg-type]
    status = root.run(request, lines.append)
    assert status == expect, lines
    return lines


def names(root: RootFs) -> list[str]:
    """The names of the changes, hard links with their targets."""
    changes = [change.entry for change in root.changes()]
    return [f"{e.name} = {e.link}" if e.type is EntryType.HARDLINK else e.name for e in changes]


def snapshot(root: RootFs, layers: LayersInMemory) -> Layer | None:
    """Make a layer of the changes and commit it."""
    changes = list(root.changes())
    layer = layers.of_changes(changes) if changes else None
    root.commit(layer)
    return layer


@contextmanager
def opened(driver: Driver, *items: Sequence[object]) -> Iterator[tuple[RootFs, LayersInMemory]]:
    """A root of layers with `items`."""
    layers = LayersInMemory()
    with driver.open_root([layers.of(each) for each in items], layers.open) as root:  # type: ignore[arg-type]
        yield root, layers


@in_child
def test_an_empty_root(make_driver: MakeDriver) -> None:
    with opened(make_driver()) as (root, _):
        assert os.listdir(root.path) == []
        assert stat.S_IMODE(os.stat(root.path).st_mode) == 0o755
        assert names(root) == []
        Path(root.path, "f").write_text("x")
        assert names(root) == ["f"]


@in_child
def test_layers_are_flattened(make_driver: MakeDriver) -> None:
    first = [
        directory("", mode=0o751, xattrs={"user.root": b"1"}),
        directory("d", mode=0o2750, uid=5, gid=6), file("d/a"),
        file("d/b", b"bb", mode=0o4755, mtime_ns=5_000_000_000, xattrs={"user.x": b"\0"}), file("gone"),
        directory("emptied"), file("emptied/old"), item("d/fifo", EntryType.FIFO),
        item("d/null", EntryType.CHARACTER_DEVICE, device=(1, 3)),
        item("d/hard", EntryType.HARDLINK, link="d/b"), symlink("link", "/d"), file("becomes"), directory("was"),
        file("was/x"),
    ]  # fmt: skip
    second = [
        whiteout("gone"), directory("d", mode=0o700), whiteout("d/a"), file("d/new"), directory("emptied"),
        file("emptied/.wh..wh..opq", b""), file("emptied/new"), directory("becomes"), file("becomes/x"),
        file("was", b"file"), directory("cap"),
        file("cap/f", xattrs={"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")}),
    ]  # fmt: skip
    with opened(make_driver(), first, second) as (root, _):
        found = tree(root.path)
        assert sorted(found) == [
            "becomes", "becomes/x", "cap", "cap/f", "d", "d/b", "d/fifo", "d/hard", "d/new", "d/null", "emptied",
            "emptied/new", "link", "was",
        ]  # fmt: skip
        assert found["d"][:3] == (stat.S_IFDIR | 0o700, 0, 0)
        assert found["d/b"][:5] == (stat.S_IFREG | 0o4755, 0, 0, 5, b"bb")
        assert found["d/b"][6:] == ("d/b", (("user.x", b"\0"),))
        assert found["d/hard"][6] == "d/b"
        assert found["d/null"][5] == os.makedev(1, 3)
        assert found["link"][4] == b"/d"
        assert found["cap/f"][7] != ()
        assert stat.S_IMODE(os.stat(root.path).st_mode) == 0o751
        assert os.getxattr(root.path, "user.root") == b"1"
        assert names(root) == []


@in_child
def test_layers_that_name_no_parents_and_link_below(make_driver: MakeDriver) -> None:
    base = [
        directory("d", mode=0o700),
        file("d/f", b"f"),
        directory("usr"),
        directory("usr/bin"),
        symlink("bin", "usr/bin"),
    ]
    second = [file("d/bare"), item("hard", EntryType.HARDLINK, link="d/f"), file("bin/tool"), file("x/y/implied")]
    third = [whiteout("d/bare"), file(".wh..wh..opq", b""), file("kept")]
    layers = LayersInMemory()
    made = [layers.of(items) for items in (base, second, third)]
    driver = make_driver()
    with driver.open_root(made[:2], layers.open) as root:
        assert sorted(tree(root.path)) == [
            "bin", "d", "d/bare", "d/f", "hard", "usr", "usr/bin", "usr/bin/tool", "x", "x/y", "x/y/implied",
        ]  # fmt: skip
        assert os.lstat(f"{root.path}/bin").st_mode & stat.S_IFLNK == stat.S_IFLNK
        assert stat.S_IMODE(os.stat(f"{root.path}/d").st_mode) == 0o700
        assert os.stat(f"{root.path}/hard").st_nlink == 2
    with driver.open_root(made, layers.open) as root:
        assert sorted(tree(root.path)) == ["kept"]
    opened_before = len(layers.opened)
    with driver.open_root(made, layers.open) as root:
        assert sorted(tree(root.path)) == ["kept"]
    assert len(layers.opened) == opened_before, "unpacked twice"


@in_child
def test_roots_do_not_see_each_other(make_driver: MakeDriver) -> None:
    layers = LayersInMemory()
    base = layers.of([file("f", b"old"), directory("d"), file("d/x")])
    driver = make_driver()
    with driver.open_root([base], layers.open) as one, driver.open_root([base], layers.open) as other:
        Path(one.path, "f").write_text("changed")
        os.unlink(f"{one.path}/d/x")
        assert Path(other.path, "f").read_text() == "old"
        assert os.listdir(f"{other.path}/d") == ["x"]
        with driver.open_root([base], layers.open) as third:
            assert Path(third.path, "f").read_text() == "old"


@in_child
def test_changes_in_layer_order(make_driver: MakeDriver) -> None:
    base = [directory("d"), file("d/a"), file("d/b"), directory("d/sub"), file("d/sub/x"), file("f"), file("z")]
    with opened(make_driver(), base) as (root, _):
        at = root.path
        for name in ("d/a", "z"):
            os.unlink(f"{at}/{name}")
        Path(at, "d/sub/x").write_text("changed")
        os.mkdir(f"{at}/a")
        Path(at, "a/é").write_text("1")
        os.link(f"{at}/a/é", f"{at}/a/z")
        os.symlink("nowhere", f"{at}/d/0")
        os.mkfifo(f"{at}/pipe")
        assert names(root) == [
            ".wh.z", "a", "a/z", "a/é = a/z", "d", "d/.wh.a", "d/0", "d/sub", "d/sub/x", "pipe",
        ]  # fmt: skip


@in_child
def test_what_is_put_back_is_no_change(make_driver: MakeDriver) -> None:
    base = [
        directory("d"),
        file("d/f", b"abc", mtime_ns=5_000_000_000),
        symlink("d/l", "f"),
        directory("e", uid=3),
    ]
    with opened(make_driver(), base) as (root, _):
        at = root.path
        Path(at, "d/new").write_text("1")
        os.unlink(f"{at}/d/new")
        os.mkdir(f"{at}/tmp")
        os.rmdir(f"{at}/tmp")
        os.chmod(f"{at}/d/f", 0o600)
        os.chmod(f"{at}/d/f", 0o644)
        os.chown(f"{at}/e", 3, 0)
        os.setxattr(f"{at}/e", "user.x", b"1")
        os.removexattr(f"{at}/e", "user.x")
        assert names(root) == []


@in_child
def test_a_change_is_never_lost(make_driver: MakeDriver) -> None:
    """Same size and same times, so that only the content, an attribute or an owner tells."""
    base = [
        file("content", b"abc", mtime_ns=5),
        file("xattr", mtime_ns=5),
        file("owner", mtime_ns=5),
        directory("d"),
    ]
    with opened(make_driver(), base) as (root, _):
        at = root.path
        times = os.stat(f"{at}/content").st_mtime_ns
        Path(at, "content").write_text("xyz")
        os.utime(f"{at}/content", ns=(times, times))
        os.setxattr(f"{at}/xattr", "user.x", b"1")
        os.chown(f"{at}/owner", 7, 7)
        os.setxattr(f"{at}/d", "user.x", b"1")
        os.utime(f"{at}/owner", ns=(times, times))
        assert names(root) == ["content", "d", "owner", "xattr"]


@in_child
def test_quick_changes_after_a_commit_are_seen(make_driver: MakeDriver) -> None:
    with opened(make_driver()) as (root, layers):
        path = Path(root.path, "f")
        for number in range(5):
            path.write_text(str(number))
            os.utime(path, ns=(5, 5))
            assert snapshot(root, layers), number
            assert names(root) == []


@in_child
def test_a_commit_is_the_new_baseline_at_the_same_path(make_driver: MakeDriver) -> None:
    layers = LayersInMemory()
    base = layers.of([directory("d"), file("d/a"), file("d/b", b"b")])
    driver = make_driver()
    with driver.open_root([base], layers.open) as root:
        path = root.path
        os.unlink(f"{path}/d/a")
        Path(path, "new").write_text("1")
        first = snapshot(root, layers)
        assert names(root) == []
        os.unlink(f"{path}/new")
        Path(path, "d/a").write_text("again")
        os.chmod(path, 0o711)
        second = snapshot(root, layers)
        os.chmod(path, 0o711)
        assert names(root) == []
        Path(path, "kept").write_text("not in a layer")
        root.commit(None)
        assert names(root) == []
        assert root.path == path
        assert sorted(tree(path)) == ["d", "d/a", "d/b", "kept"]
    assert first is not None
    assert second is not None
    with driver.open_root([base, first, second], layers.open) as root:
        assert sorted(tree(root.path)) == ["d", "d/a", "d/b"]
        assert stat.S_IMODE(os.stat(root.path).st_mode) == 0o711


@in_child
def test_forks_are_independent_and_outlive_their_origin(make_driver: MakeDriver) -> None:
    with opened(make_driver(), [file("f", b"1"), file("g")]) as (root, layers):
        os.unlink(f"{root.path}/g")
        snapshot(root, layers)
        Path(root.path, "private").write_text("x")
        root.commit(None)
        fork = root.fork()
        Path(root.path, "f").write_text("2")
        with pytest.raises(InternalError, match="cannot be forked"):
            root.fork()
        root.close()
        with fork:
            assert names(fork) == []
            assert sorted(tree(fork.path)) == ["f", "private"]
            assert Path(fork.path, "f").read_text() == "1"
            Path(fork.path, "f").write_text("3")
            os.unlink(f"{fork.path}/private")
            assert names(fork) == [".wh.private", "f"]


@in_child
def test_ignored_paths_enter_no_layer_and_no_other_root(make_driver: MakeDriver) -> None:
    layers = LayersInMemory()
    base = layers.of([directory("d"), file("d/known")])
    driver = make_driver(ignore=("/cache", "/d/known"))
    with driver.open_root([base], layers.open) as root:
        os.mkdir(f"{root.path}/cache")
        Path(root.path, "cache/x").write_text("1")
        os.unlink(f"{root.path}/d/known")
        Path(root.path, "seen").write_text("1")
        layer = snapshot(root, layers)
        assert names(root) == []
        assert os.path.exists(f"{root.path}/cache/x")
    assert layer is not None
    with driver.open_root([base, layer], layers.open) as root:
        assert sorted(tree(root.path)) == ["d", "d/known", "seen"]


@in_child
def test_prefetch_unpacks_ahead(make_driver: MakeDriver) -> None:
    layers = LayersInMemory()
    made = [layers.of([file(f"f{number}")]) for number in range(5)]
    driver = make_driver()
    assert not driver.opens_at_once(made)
    with driver.prefetch(made, layers.open), driver.open_root(made, layers.open) as root:
        assert len(tree(root.path)) == 5
    assert len(layers.opened) == 5
    assert driver.opens_at_once(made) == (driver.name == "overlay"), "elsewhere a root is a copy"


@in_child
def test_two_threads_open_one_image(make_driver: MakeDriver) -> None:
    layers = LayersInMemory()
    made = [layers.of([file(f"f{number}", bytes(100_000))]) for number in range(8)]
    driver = make_driver()
    counts: list[int] = []

    def work() -> None:
        with driver.open_root(made, layers.open) as root:
            counts.append(len(tree(root.path)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [8, 8, 8]
    assert len(layers.opened) == 8


# ---- commands


@in_child
def test_output_status_and_environment(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        assert run(root, "echo out; echo err >&2; printf 'no end'; exit 7", expect=7) == ["out", "err", "no end"]
        traced = run(root, "set -x; for i in 1 2 3; do echo $i; done")
        assert traced == ["+ echo 1", "1", "+ echo 2", "2", "+ echo 3", "3"]
        assert run(root, 'echo "$A"; umask; pwd; cat', environment={**PATH, "A": "é"}, cwd="/etc") == [
            "é",
            "0022",
            "/etc",
        ]
        long = run(
            root, "i=0; while [ $i -lt 2000 ]; do printf '%0100d' 0; i=$((i+1)); done; echo; printf '\\377'"
        )
        assert sum(map(len, long)) == 200_001
        assert max(map(len, long)) <= 2 * 65536
        assert long[-1] == "�"


@in_child
def test_identities(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        identity = Identity(uid=1000, gid=1000, groups=(50, 60))
        assert run(root, "id -u; id -g; id -G; touch /tmp/mine", identity=identity) == [
            "1000",
            "1000",
            "1000 50 60",
        ]
        status = os.stat(f"{root.path}/tmp/mine")
        assert (status.st_uid, status.st_gid) == (1000, 1000)
        assert run(root, "touch /etc/x", identity=identity, expect=1)[0].endswith("Permission denied")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"argv": ("nope",)}, 'exec: "nope": executable file not found in $PATH'),
        ({"argv": ("/nope",)}, 'exec: "/nope": stat /nope: no such file or directory'),
        ({"argv": ("/etc/passwd",)}, 'exec: "/etc/passwd": permission denied'),
        ({"argv": ("/bin/text",)}, "exec /bin/text: exec format error"),
        ({"argv": ("/bin/script",)}, "exec /bin/script: no such file or directory"),
        ({"argv": ()}, "executable file not found"),
        ({"cwd": "/missing"}, "cannot change to the working directory"),
        ({"cwd": "/etc/passwd"}, "not a directory"),
    ],
)
@in_child
def test_commands_that_cannot_start(make_driver: MakeDriver, fields: Mapping[str, object], message: str) -> None:
    more = [file("bin/text", b"text", mode=0o755), file("bin/script", b"#!/no/shell\n", mode=0o755)]
    with opened(make_driver(), [*busybox(), *more]) as (root, _):
        with pytest.raises(StepError) as caught:
            run(root, "true", **fields)
        assert message in caught.value.message
        assert names(root) == []


@in_child
def test_scripts_are_there_for_the_run_only(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        scripts = {"/dev/pipes/EOF": b"#!/bin/sh\necho from $0\n"}
        assert run(root, "", argv=("/dev/pipes/EOF",), scripts=scripts) == ["from /dev/pipes/EOF"]
        assert names(root) == []


@in_child
def test_devices_and_names_of_a_container(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        lines = run(root, "echo x > /dev/null; ls /dev; cat /etc/resolv.conf")
        assert {
            "fd",
            "full",
            "null",
            "ptmx",
            "random",
            "stderr",
            "stdin",
            "stdout",
            "tty",
            "urandom",
            "zero",
        } <= set(lines)
        resolv = Path("/etc/resolv.conf")
        if resolv.is_file():
            assert "\n".join(lines).endswith(resolv.read_text().strip())


@in_child
def test_a_run_leaves_no_places_to_mount_on(make_driver: MakeDriver) -> None:
    base = [*busybox(), file("etc/hosts", b"mine\n", mtime_ns=3_000_000_000)]
    with opened(make_driver(), base) as (root, _):
        before = tree(root.path), os.stat(f"{root.path}/etc").st_mtime_ns
        run(root, "true")
        assert (tree(root.path), os.stat(f"{root.path}/etc").st_mtime_ns) == before
        assert names(root) == []
        run(root, "echo 1 > /etc/new")
        assert names(root) == ["etc", "etc/new"]


@in_child
def test_a_root_without_anything_but_a_program(make_driver: MakeDriver) -> None:
    program = next(content for entry, content in busybox() if entry.name == "bin/busybox")
    with opened(make_driver(), [file("sh", program, mode=0o755)]) as (root, _):
        assert run(root, "", argv=("/sh", "-c", "echo alive")) == ["alive"]
        assert names(root) == []


@in_child
def test_links_in_place_of_directories(make_driver: MakeDriver) -> None:
    """The places to mount on are looked up inside the root, wherever the image's links lead."""
    base = [*busybox(), symlink("dev", "/etc/dev"), symlink("etc/resolv.conf", "../../run/missing/resolv.conf"),
            symlink("proc", "/etc/passwd")]  # fmt: skip
    with opened(make_driver(), base) as (root, _):
        run(root, "echo x > /dev/null")
        assert names(root) == []


@in_child
def test_nothing_that_a_command_started_outlives_it(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        before = set(leftovers.descendants(os.getpid()))
        started = time.monotonic()
        script = (
            "sleep 1000 & (setsid sleep 1001 &); (setsid sh -c 'sleep 1002; echo' >/dev/null 2>&1 &); echo done"
        )
        assert run(root, script) == ["done"]
        assert time.monotonic() - started < 5
        assert set(leftovers.descendants(os.getpid())) == before


@in_child
def test_late_output_of_what_it_started_is_not_waited_for_but_early_is_kept(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        assert run(root, "(echo child; sleep 100) & sleep 0.2; echo parent") == ["child", "parent"]


@in_child
def test_signals_give_128_and_their_number(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        run(root, "sh -c 'kill -9 $$'; exit $?", expect=137)
        run(root, "sh -c 'kill -TERM $$'; exit $?", expect=143)
        assert run(root, "trap 'echo pipe' PIPE; sh -c 'kill -PIPE $$'; echo $?") == ["141"]


@in_child
def test_an_interrupted_run_is_cleaned_up(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        before = set(leftovers.descendants(os.getpid()))

        def interrupt(*_arguments: object) -> None:
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            run(root, "setsid sleep 1000 & sleep 1001")
        assert set(leftovers.descendants(os.getpid())) == before
        assert names(root) == []
        assert run(root, "echo again") == ["again"]


@in_child
def test_a_failing_listener_ends_the_run(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        before = set(leftovers.descendants(os.getpid()))

        def fail(*_line: object) -> None:
            raise ValueError("sink")

        request = RunRequest(argv=("sh", "-c", "echo x; sleep 1000"), environment=PATH)
        with pytest.raises(ValueError, match="sink"):
            root.run(request, fail)
        assert set(leftovers.descendants(os.getpid())) == before


@in_child
def test_a_command_cannot_reach_this_machines_mounts(make_driver: MakeDriver) -> None:
    applets = [symlink(f"bin/{name}", "busybox") for name in ("mount", "umount", "chroot")]
    with opened(make_driver(), [*busybox(), *applets]) as (root, _):
        before = leftovers.mounts()
        run(root, "mount -t tmpfs none /tmp && touch /tmp/x; umount /proc; chroot / sh -c :")
        assert leftovers.mounts() == before
        assert not os.path.exists(f"{root.path}/tmp/x")


@in_child
def test_commands_run_while_other_threads_work(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                os.stat("/")
                str(time.monotonic()).encode()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):
                assert run(root, f"echo {number}") == [str(number)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()


@in_child
def test_no_descriptor_or_child_stays(make_driver: MakeDriver) -> None:
    with opened(make_driver(), busybox()) as (root, _):
        run(root, "true")
        before = sorted(os.listdir("/proc/self/fd"))
        run(root, "true")
        with pytest.raises(StepError):
            run(root, "", argv=("nope",))
        assert sorted(os.listdir("/proc/self/fd")) == before
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


@in_child
def test_closing_leaves_nothing(make_driver: MakeDriver, home: str) -> None:
    with opened(make_driver(), busybox(), [file("x")]) as (root, layers):
        run(root, "echo 1 > /y")
        snapshot(root, layers)
        run(root, "echo 1 > /z")
        root.commit(None)
        root.fork().close()
    sessions = [path for path in Path(home, "work").iterdir() if path.is_dir()]
    assert [sorted(path.name for path in session.iterdir()) for session in sessions] == [["ingest"]]
    assert not [point for point in leftovers.mounts() if home in point]


@in_child
def test_a_full_disk_is_told(make_driver: MakeDriver, home: str) -> None:
    from executor.rootfs.kernel import syscalls

    os.makedirs(home)
    syscalls.mount("tmpfs", home, "tmpfs", 0, "size=1m")
    layers = LayersInMemory()
    big = layers.of([file("big", bytes(2_000_000))])
    with pytest.raises(UnfitError, match="no space left to unpack /big"):
        make_driver().open_root([big], layers.open)
