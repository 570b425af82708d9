"""The end of a command: its status and all of its output, as the interpreter would have it."""

import os
import subprocess
import sys

import pytest


def left(body, **options):
    code = f"import sys\nfrom executor.leaving import leave_after\ndef main():\n    {body}\nleave_after(main)\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("return 3", 3), ("return None", 0), ("sys.exit(75)", 75), ("sys.exit()", 0), ("sys.exit('bad')", 1),
        ("return 256 + 2", 2), ("raise ValueError", 1),
    ],
)  # fmt: skip
def test_the_status_is_the_one_the_interpreter_would_give(body, status):
    assert left(body).returncode == status


def test_what_was_printed_last_is_not_lost():
    done = left("print('x' * 100_000); print('last', end=''); print('fault', end='', file=sys.stderr)")
    assert (len(done.stdout), done.stdout[-4:], done.stderr) == (100_005, "last", "fault")


def test_words_to_exit_with_and_faults_are_told():
    assert left("sys.exit('bad')").stderr == "bad\n"
    assert "ValueError: x" in left("raise ValueError('x')").stderr


def test_output_that_cannot_be_written_is_a_fault():
    code = "from executor.leaving import leave_after\nleave_after(lambda: print('x'))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-E", "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.returncode == 120
    assert "Broken pipe" in done.stderr


def test_a_closed_output_does_no_harm():
    code = "from executor.leaving import leave_after\nleave_after(lambda: 4)"
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "{code}" >&-', sys.executable], check=False)
    assert done.returncode == 4
