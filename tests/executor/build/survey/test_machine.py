"""Limits and emulators as the kernel writes them, in files of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.build.survey import machine


def tree(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("files", "memory", "cpus"),
    [
        ({}, None, None),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "536870912\n",
                "sys/fs/cgroup/cpu.max": "150000 100000\n",
            },
            536870912,
            1.5,
        ),
        (
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/memory.max": "1000\n",
                "sys/fs/cgroup/pod/box/memory.max": "max\n",
                "sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
            },
            1000,
            None,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/docker/1\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2000,
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/\n4:cpu:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            None,
        ),
    ],
)
def test_limits(tmp_path: Path, files: dict[str, str], memory: int | None, cpus: float | None) -> None:
    found = machine.limits(tree(tmp_path, files))
    assert (found.memory, found.cpus) == (memory, cpus)
    assert found.usable_cores > 0


def test_emulators_that_are_enabled(tmp_path: Path) -> None:
    assert machine.emulators(str(tmp_path)) is None
    folder = "proc/sys/fs/binfmt_misc"
    root = tree(
        tmp_path,
        {
            f"{folder}/status": "enabled\n",
            f"{folder}/qemu-aarch64": "enabled\ninterpreter /q\n",
            f"{folder}/qemu-arm": "disabled\n",
            f"{folder}/python3.11": "enabled\n",
        },
    )
    assert machine.emulators(root) == ("qemu-aarch64",)


def test_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.git_version() == ""
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho git version 9.1\n")
    program.chmod(0o755)
    assert machine.git_version() == "9.1"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert machine.git_version() == ""
