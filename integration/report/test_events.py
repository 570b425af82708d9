"""The events of real builds: all are as the schema says, and tell of every phase from the pull to the push."""

import json
import os
import subprocess
from pathlib import Path

from jsonschema import Draft202012Validator

from runner.buildsfile import schema

BIN = Path(__file__).parents[2] / ".venv" / "bin"
DOCKERFILE = """FROM {base}/busybox AS make
RUN --mount=type=secret,id=token echo "Authorization: $(base64 < /run/secrets/token)"; echo made > /made
FROM {base}/busybox
COPY --from=make /made /made
"""
BUILDS = """version: 1
defaults: {{insecure: true}}
builds:
  - name: app
    context: .
    destinations: ["{base}/events/app:1"]
    secrets: {{token: {{env: TOKEN}}}}
"""
PHASES = {
    "RunStarted", "ImageStarted", "BuildStarted", "DriverChosen", "PullStarted", "PullFinished", "LayerUnpacked",
    "StageStarted", "StepStarted", "CommandOutput", "LayerWritten", "StepFinished", "ImageBuilt", "PushStarted",
    "BlobPushed", "PushFinished", "BuildSucceeded", "ImageFinished", "RunFinished",
}  # fmt: skip


def test_a_build_tells_of_all_that_it_does(base_host, tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(base=base_host))
    (tmp_path / "builds.yaml").write_text(BUILDS.format(base=base_host))
    words = [BIN / "krunner", "builds.yaml", "--events-file", "events.jsonl", "--home", tmp_path / "home"]
    environment = {**os.environ, "TOKEN": "correct horse battery"}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "events.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    validator = Draft202012Validator(json.loads(schema.text("events")))
    faults = [f"{line['type']}: {error.message}" for line in lines for error in validator.iter_errors(line)]
    assert faults == []
    assert {line["type"] for line in lines} >= PHASES
    (said,) = [line["line"] for line in lines if line["type"] == "CommandOutput"]
    assert said == "Authorization: ***"
    (image,) = json.loads((tmp_path / "krunner-report/result.json").read_text())["images"].values()
    assert all(image["phases"][phase] > 0 for phase in ("pull", "unpack", "layers", "upload", "push"))
    assert all(line["at"] >= 0 for line in lines)
