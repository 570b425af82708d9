"""Running programs of another architecture: qemu's entry in the kernel's table of binary formats, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from integration.support.programs import run

TABLE = Path("/proc/sys/fs/binfmt_misc")
_NAME = "krunner-test-aarch64"
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


@contextlib.contextmanager
def table() -> Iterator[Path]:
    """The table, mounted for the time if it is not."""
    mounted = (TABLE / "register").exists()
    if not mounted:
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", TABLE])
    try:
        yield TABLE
    finally:
        if not mounted:
            run(["umount", TABLE])


@contextlib.contextmanager
def arm64_programs() -> Iterator[None]:
    """Let this machine run programs for arm64. `F` opens the emulator now, so that no root needs to hold it."""
    with table() as folder:
        (folder / "register").write_text(f":{_NAME}:M::{_MAGIC}:{_MASK}:/usr/bin/qemu-aarch64-static:F")
        try:
            yield
        finally:
            (folder / _NAME).write_text("-1")
