"""The umask as the kernel tells of it."""

import os
from pathlib import Path

from executor.rootfs.files.treewriter import umask


def test_what_proc_says(tmp_path: Path) -> None:
    status = tmp_path / "proc/self/status"
    status.parent.mkdir(parents=True)
    assert umask(str(tmp_path)) is None
    status.write_bytes(b"Name:\tx\xff\nUmask:\t0077\nState:\tR\n")
    assert umask(str(tmp_path)) == 0o077
    status.write_text("Name:\tUmask: 0011\n")
    assert umask(str(tmp_path)) is None


def test_it_is_not_changed() -> None:
    before = os.umask(0o027)
    try:
        assert (umask(), umask()) == (0o027, 0o027)
    finally:
        os.umask(before)
