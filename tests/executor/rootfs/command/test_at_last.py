"""What has to be done just before a command begins is done in its process, and nothing of it comes later."""

from __future__ import annotations

import os
from pathlib import Path

from executor.rootfs.base import Identity, RunRequest
from executor.rootfs.command import process
from executor.rootfs.command.confinement import Confinement


def test_it_is_done_before_the_command_begins(tmp_path: Path) -> None:
    file = tmp_path / "file"
    request = RunRequest(
        argv=("/bin/sh", "-c", f"echo , then ran as $$ >> {file}"),
        environment={},
        identity=Identity(uid=os.getuid(), gid=os.getgid()),
    )
    confinement = Confinement(
        root="/", namespaces=False, at_last=lambda: file.write_text(f"done in {os.getpid()}")
    )
    assert process.run(request, confinement, lambda _line: None) == 0
    before, _, after = file.read_text().partition(", then ran as ")
    assert before == f"done in {after.strip()}"
