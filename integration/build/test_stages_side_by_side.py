"""Independent stages of one Dockerfile at the same time: what they make, how a failure or a signal ends them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from integration.support.builders import Executor
from integration.support.flatten import flatten
from integration.support.images import read_layout

BASE = "FROM registry.test/busybox"
_MEETING = """\
{base} AS left
RUN --mount=type=cache,target=/m touch /m/left; until [ -e /m/right ]; do sleep 0.05; done; echo l > /left
{base} AS right
RUN --mount=type=cache,target=/m touch /m/right; until [ -e /m/left ]; do sleep 0.05; done; echo r > /right
{base}
COPY --from=left /left /
COPY --from=right /right /
"""
_LONG = """\
{base} AS long
RUN sleep 1000
{base} AS short
RUN {short}
FROM scratch
COPY --from=long / /
COPY --from=short / /
"""


def _argv(executor: Executor, folder: Path, dockerfile: str, *flags: str | Path) -> Sequence[str | Path]:
    base = BASE.replace("registry.test", executor.registry)
    (folder / "Dockerfile").write_text(dockerfile.replace("{base}", base))
    return executor.argv(f"--context={folder}", "--no-push", "--log-format=json", *flags)


def _environment(executor: Executor) -> dict[str, str]:
    return {**os.environ, "KRUNNER_HOME": str(executor.home)}


def test_two_stages_that_wait_for_each_other_are_built(executor: Executor, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    argv = _argv(executor, tmp_path, _MEETING, f"--oci-layout-path={layout}")
    done = subprocess.run(
        argv, env=_environment(executor), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    tree = flatten(read_layout(layout))
    assert {"left", "right"} <= {str(path).strip("/") for path in tree}
    result = json.loads(done.stderr.splitlines()[-1])["result"]
    assert [step["stage"] for step in result["steps"]] == sorted(step["stage"] for step in result["steps"])


def test_a_failing_stage_ends_the_other_and_is_what_is_told(executor: Executor, tmp_path: Path) -> None:
    argv = _argv(executor, tmp_path, _LONG.replace("{short}", "exit 7"))
    begin = time.monotonic()
    done = subprocess.run(
        argv, env=_environment(executor), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 7
    assert "ended with status 7" in json.loads(done.stderr.splitlines()[-1])["message"]
    assert time.monotonic() - begin < 50  # and not after the 1000 s of the other


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_stages(executor: Executor, tmp_path: Path, number: int) -> None:
    argv = _argv(executor, tmp_path, _LONG.replace("{short}", "sleep 1000"))
    with subprocess.Popen(argv, env=_environment(executor), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        started = 0
        for line in process.stderr:
            started += '"StepStarted"' in line
            if started == 2:
                break
        time.sleep(0.5)  # into the commands, or just before: both have to end
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == 128 + number
