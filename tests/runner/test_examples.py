"""Every example is valid as it stands, and says so to editors."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("**/builds.yaml"))
FOREIGN = sorted(
    path for name in ("docker-bake.*", "compose.yaml") for path in (ROOT / "examples").glob(f"**/{name}")
)


@pytest.mark.parametrize("path", [*EXAMPLES, *FOREIGN], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_example(path, monkeypatch, capsys):
    monkeypatch.setenv("REGISTRY", "localhost:5000")
    monkeypatch.setenv("CI_REGISTRY_IMAGE", "localhost:5000/group/project")
    monkeypatch.setenv("FORMATS_TOKEN", "a secret")
    assert main(["validate", str(path)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_modeline_leads_to_the_schema(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "schemas" / "builds.schema.json"


def test_the_job_of_gitlab_is_as_its_schema_says():
    job = ROOT / "examples" / "gitlab" / ".gitlab-ci.yml"
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(job)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples():
    assert {"gitlab", "minimal", "quickstart"} <= {path.parent.name for path in EXAMPLES}
