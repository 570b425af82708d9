"""Every example is valid as it stands, and says so to editors."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runner.buildsfile import config
from runner.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("**/builds.yaml"))
FOREIGN = sorted(
    path for name in ("docker-bake.*", "compose.yaml") for path in (ROOT / "examples").glob(f"**/{name}")
)

PAGES = sorted([ROOT / "README.md", ROOT / "jenkins" / "README.md", *(ROOT / "docs").glob("**/*.md")])

BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", [*EXAMPLES, *FOREIGN], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_example(path, monkeypatch, capsys):
    monkeypatch.setenv("REGISTRY", "localhost:5000")
    monkeypatch.setenv("CI_REGISTRY_IMAGE", "localhost:5000/group/project")
    monkeypatch.setenv("FORMATS_TOKEN", "a secret")
    assert main(["validate", str(path)]) == 0, capsys.readouterr().err
    if path.suffix == ".yaml":
        assert main(["lint", "--error", str(path)]) == 0, "a first build has no warnings"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_pages_show_is_as_the_schema_says(page, tmp_path):
    """Of contexts and Dockerfiles there is nothing here; what files include is left out."""
    for text in map(textwrap.dedent, BLOCK.findall(page.read_text())):
        if re.search(r"^version: 1$", text, re.MULTILINE):
            path = tmp_path / "builds.yaml"
            rest = "" if "\nbuilds:" in text else "builds: [{name: any}]\n"
            path.write_text(re.sub(r"^include:.*\n", "", text, flags=re.MULTILINE) + rest)
            resolved = config.resolve(str(path), {"VERSION": "1.0", "TAG": "1", "BUILD_NUMBER": "7"})
            assert resolved.findings.sorted() == []
            assert resolved.entries


def test_the_page_of_the_builds_file_shows_some():
    assert (ROOT / "docs" / "builds-file.md").read_text().count("```yaml\nversion: 1\n") >= 4


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
