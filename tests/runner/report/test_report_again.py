"""A whole run with its events in a file, and the reports that `krunner report` makes of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main

PROGRAM = Path(__file__).parents[2] / "support" / "fake_krunner.py"
BUILDS = """version: 1
builds:
  - {name: good, context: ., destinations: ["r.io/good:1"]}
  - {name: bad, context: ., no_push: true, args: {DO: runfail}}
"""


@pytest.fixture
def run(tmp_path):
    """A run in `tmp_path` with these options; it fails, as one of its images does."""
    (tmp_path / "builds.yaml").write_text(BUILDS)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}

    def run(*options, **more):
        words = [sys.executable, str(PROGRAM), "build", "builds.yaml", *options]
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, **more
        )
        assert done.returncode == 1, done.stderr
        return done

    return run


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_reports_are_the_same(run, tmp_path):
    run("--events-file", "events.jsonl", "--metadata-file", "metadata.json")
    again = str(tmp_path / "again")
    assert main(["report", str(tmp_path / "events.jsonl"), "--report-dir", again]) == 0
    live = contents(tmp_path / "krunner-report")
    assert contents(tmp_path / "again") == live
    assert set(live) >= {"report.html", "junit.xml", "result.json", "digests.txt", "images.env", "logs/bad.log"}
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    images = json.loads(live["result.json"])["images"]
    assert metadata["good"]["containerimage.digest"] == images["good"]["digest"]


def test_events_come_to_a_descriptor(run, tmp_path):
    reader, writer = os.pipe()
    run("--events-fd", str(writer), "--report-dir", "", pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as stream:
        kinds = [json.loads(line)["type"] for line in stream]
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunFinished")
    assert kinds.count("ImageFinished") == 2


def test_what_is_no_file_of_events(tmp_path, capsys):
    (tmp_path / "x").write_text("{}\n")
    assert main(["report", str(tmp_path / "x"), "--report-dir", str(tmp_path / "out")]) == 2
    assert "line 1 of the events is not an event" in capsys.readouterr().err
