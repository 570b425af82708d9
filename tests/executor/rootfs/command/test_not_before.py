"""A command begins when what it changes gets a later time than what was there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.rootfs.base import Identity, RunRequest
from executor.rootfs.command import confinement as module
from executor.rootfs.command import process
from executor.rootfs.command.confinement import Confinement


def test_the_clock_is_waited_for_before_the_command_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    monkeypatch.setattr(module, "await_next_tick", lambda moment: file.write_text(f"waited for {moment}"))
    request = RunRequest(
        argv=("/bin/sh", "-c", f"echo , then ran >> {file}"),
        environment={},
        identity=Identity(uid=os.getuid(), gid=os.getgid()),
    )
    confinement = Confinement(root="/", namespaces=False, not_before=123)
    assert process.run(request, confinement, lambda _stream, _line: None) == 0
    assert file.read_text() == "waited for 123, then ran\n"
