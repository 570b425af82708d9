"""Every example is valid as it stands, and says so to editors."""

from pathlib import Path

import pytest

from runner.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("**/builds.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_example(path, monkeypatch, capsys):
    monkeypatch.setenv("REGISTRY", "localhost:5000")
    assert main(["validate", str(path)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_modeline_leads_to_the_schema(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "schemas" / "builds.schema.json"


def test_there_are_examples():
    assert {"minimal", "quickstart"} <= {path.parent.name for path in EXAMPLES}
