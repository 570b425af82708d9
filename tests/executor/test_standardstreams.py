"""Commands whose standard streams are closed, full, not read at once, or of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

_CHECK = (sys.executable, "-c", "from executor.cli import entry; entry()", "--context=.", "--check")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A context of which a rule says something that is not ASCII."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nENV a b\n")
    return tmp_path


@pytest.mark.parametrize("redirection", ["2>/dev/full", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_log_that_cannot_be_written_stops_nothing(folder: Path, redirection: str) -> None:
    words = ("sh", "-c", f'exec "$0" "$@" {redirection}', *_CHECK)
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stdout in (b"", b"check complete: 1 warning\n")


def test_what_a_locale_cannot_write_is_written_out(folder: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(_CHECK, cwd=folder, env=environment, capture_output=True, check=True, timeout=60)
    assert rb"write ENV a=\u2026" in done.stderr


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_all() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    program = (
        "import sys\n"
        "from executor.standardstreams import make_usable, write_line\n"
        "make_usable()\n"
        "for number in range(20_000): write_line(sys.stderr, f'line {number}')\n"
    )
    with subprocess.Popen((sys.executable, "-c", program), stderr=writer) as process:
        os.close(writer)
        time.sleep(0.5)  # it has filled the pipe by now
        with os.fdopen(reader) as stream:
            lines = stream.read().splitlines()
    assert (process.returncode, len(lines), lines[-1]) == (0, 20_000, "line 19999")
