"""`make bench` but for what needs root: its table, the disk it takes, how it ends."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from integration.bench import disk as disks
from integration.bench import ending, filesystem, versions
from integration.bench import measure as measuring
from integration.bench.measure import Command, Measured, measure
from integration.bench.phases import phases_of
from integration.bench.table import table
from integration.support.programs import ProgramError, wait_until

ROOT = Path(__file__).parents[1]


def runs(*walls):
    return [Measured(wall=wall, cpu=wall / 2, peak=int(wall * 10e6), output="") for wall in walls]


def lives(pid):
    """Whether a process runs; one that has ended may still wait for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_table_of_one_round_has_no_spread():
    heading, krunner, other = table("small", {"krunner": runs(1), "buildah": runs(4)})
    assert heading.split() == ["small", "wall", "s", "cpu", "s", "peak", "MB", "krunner", "is", "in-place", "is"]
    assert krunner.split() == ["krunner", "1.00", "0.50", "10", "1"]
    assert other.split() == ["buildah", "4.00", "2.00", "40", "0.25"]


def test_a_table_of_several_rounds_says_what_the_medians_lie_between():
    _, krunner, other = table("small", {"krunner": runs(1, 3, 2), "buildah": runs(4, 4, 16)})
    assert krunner.split() == ["krunner", "2.00", "(1.00..3.00)", "1.00", "(0.50..1.50)", "20", "(10..30)", "1"]
    assert other.split()[1:3] == ["4.00", "(4.00..16.00)"]
    assert other.split()[-2:] == ["0.50", "(0.12..0.75)"], "ratios are those of runs of the same round"


def test_rows_are_as_wide_as_headings():
    heading, _, row = table("small", {"in-place": runs(100, 101), "in-place-loop": runs(300, 404)})
    assert row.startswith("  in-place-loop ")
    for title, value in (
        ("wall s", "352 ("),
        ("cpu s", "176 ("),
        ("peak MB", "3520 ("),
        ("in-place", "0.29 ("),
    ):
        assert heading.index(title) == row.index(value)


def test_phases_are_the_mean_over_runs():
    pushed = '{"type": "BlobPushed", "seconds": %s}\nnot JSON\n{"type": "Other"}\n{broken'
    assert phases_of([pushed % 1, pushed % 2]) == {"push": 1.5}


def test_the_disk_as_it_is_keeps_folders_that_are_not_large(tmp_path):
    disk = disks.disk("here", tmp_path, size=1 << 30)
    assert disk.described.startswith("as it is, for all runs the same (")
    with disk.for_builder(large=False) as small, disk.for_builder(large=True) as large:
        assert small != large
        (large / "file").write_text("")
    assert small.exists()
    assert not large.exists()


@pytest.mark.parametrize(
    "error", [OSError("no room"), ProgramError("losetup: no device"), FileNotFoundError("mkfs")]
)
def test_without_file_systems_of_its_own_it_is_the_disk_as_it_is(tmp_path, monkeypatch, error):
    def fail(_path, _size):
        raise error

    monkeypatch.setattr(filesystem, "allocate", fail)
    disk = disks.disk("fresh", tmp_path, size=1 << 30)
    assert disk.described.startswith("as it is (")
    assert str(error) in disk.described
    with disk.for_builder(large=False) as folder:
        assert list(folder.iterdir()) == []
    assert [*tmp_path.iterdir()] == [folder]


def test_what_is_said_of_programs(tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho tool  1.0\necho more\n")
    tool.chmod(0o755)
    assert versions.program(tool, "version").startswith("tool 1.0 (sha256 ")
    assert versions.said("/nonexistent") == "of unknown version"
    assert f"{len(os.sched_getaffinity(0))} cores" in versions.machine()


def test_a_command_is_measured():
    found = measure(Command(argv=["sh", "-c", "echo $WORD; exit 3"], env={"WORD": "out"}, status=3))
    assert found.output == "out\n"
    with pytest.raises(ProgramError, match="ended with 3"):
        measure(Command(argv=["sh", "-c", "exit 3"], env={}))


def test_who_is_interrupted_interrupts_the_command_and_its_children(tmp_path, monkeypatch):
    """The children hold the pipe open: were they left, the test would wait for them."""
    written = tmp_path / "pid"

    @contextlib.contextmanager
    def interrupted(_command, _pid):
        wait_until(lambda: written.exists() and written.read_text().endswith("\n"), "start of the command")
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(measuring, "_watching", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(Command(argv=["sh", "-c", f"sleep 1000 & echo $! > {written}; wait"], env={}))
    pid = int(written.read_text())
    wait_until(lambda: not lives(pid), "end of the child that was killed")


_ENDED = """
import subprocess, sys, time
from integration.bench import ending
ending.end_on_signals()
with ending.work_folder() as folder:
    orphan = subprocess.run(["sh", "-c", "setsid sleep 1000 > /dev/null & echo $!"], stdout=subprocess.PIPE)
    try:
        print(folder, orphan.stdout.decode().strip(), flush=True)
        time.sleep(100)
    finally:
        print("cleaning", flush=True)
        time.sleep(1)
print("not reached")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_once_and_leave_nothing(number):
    with subprocess.Popen([sys.executable, "-c", _ENDED], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        folder, orphan = process.stdout.readline().split()
        assert Path(folder).exists()
        assert lives(orphan)
        process.send_signal(number)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(number)  # of somebody impatient
        assert process.communicate(timeout=30)[0] == ""
        assert process.returncode == 128 + number
    assert not Path(folder).exists()
    assert not lives(orphan)


def test_signals_do_not_disturb_who_cleans_up_already():
    script = """
import time
from integration.bench import ending
ending.end_on_signals()
remove = ending._remove
def slowly(folder):
    print(folder, flush=True)
    time.sleep(1)
    remove(folder)
ending._remove = slowly
with ending.work_folder():
    pass
print("ended")
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        folder = process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "ended\n"
        assert process.returncode == 0
    assert not Path(folder).exists()


def test_a_folder_in_which_something_is_mounted_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(ending, "unmount_below", lambda _folder: None)
    monkeypatch.setattr(ending, "mounts", lambda *, below: [str(below / "mounted")])
    ending._remove(tmp_path)
    assert tmp_path.exists()
