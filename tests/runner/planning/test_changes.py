"""`--changed`, with a real git."""

import subprocess

import pytest

from executor.errors import UsageError
from runner.cli import main
from runner.planning.changes import changed_files

TEXT = """\
version: 1
builds:
  - {name: base, context: base, tags: [r.io/base]}
  - {name: app, context: app, dockerfile: ../app.Dockerfile, contexts: {lib: lib}, tags: [r.io/app]}
  - {name: inline, context: inline, dockerfile_inline: FROM scratch, no_push: true}
"""
FILES = {
    "builds.yaml": TEXT,
    "base/Dockerfile": "FROM scratch\n",
    "base/a": "",
    "base/.dockerignore": "*.md\n",
    "app/a": "",
    "app.Dockerfile": "FROM r.io/base\n",
    "lib/a": "",
    "inline/a": "",
    "other": "",
}


def git(*words):
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "GITHUB_BASE_REF", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "first")
    return tmp_path


@pytest.fixture
def planned(repository, capsys):
    def names(*words):
        assert main(["plan", *(words or ("builds.yaml", "--changed=main"))]) == 0
        out = capsys.readouterr().out
        return [] if out == "nothing to build\n" else [line.split()[1] for line in out.splitlines()]

    return names


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("other", []),
        ("base/new", ["base", "app"]),
        ("base/.dockerignore", ["base", "app"]),
        ("base/Dockerfile", ["base", "app"]),
        ("base/README.md", []),
        ("app/a", ["app"]),
        ("app.Dockerfile", ["app"]),
        ("app.Dockerfile.dockerignore", ["app"]),
        ("lib/a", ["app"]),
        ("inline/a", ["inline"]),
        ("builds.yaml", ["base", "app", "inline"]),
    ],
)
def test_a_changed_file(planned, repository, path, expected):
    (repository / path).write_text((FILES.get(path) or "FROM scratch") + "\n")
    assert planned() == expected


def test_deleted_and_committed_files(planned, repository):
    git("switch", "-qc", "topic")
    (repository / "app" / "a").unlink()
    git("commit", "-qam", "delete")
    assert planned() == ["app"]
    assert planned("builds.yaml", "--changed", "HEAD") == []


def test_what_came_to_the_other_branch_does_not_count(planned, repository):
    git("switch", "-qc", "topic")
    (repository / "inline" / "new").write_text("")
    git("switch", "-q", "main")
    (repository / "base" / "a").write_text("x")
    git("commit", "-qam", "later")
    git("switch", "-q", "topic")
    assert planned() == ["inline"]


def test_the_usual_reference(planned, repository, monkeypatch):
    (repository / "app" / "a").write_text("x")
    monkeypatch.setenv("CI_MERGE_REQUEST_DIFF_BASE_SHA", git("rev-parse", "HEAD"))
    assert planned("builds.yaml", "--changed") == ["app"]
    assert planned("--changed", "builds.yaml") == ["app"]


def test_mistakes(repository, tmp_path_factory, monkeypatch):
    with pytest.raises(UsageError, match="git does not know origin/HEAD") as caught:
        changed_files(str(repository), "", {})
    assert "--changed=main" in caught.value.hint
    with pytest.raises(UsageError, match="git does not know nowhere"):
        changed_files(str(repository), "nowhere", {})
    git("switch", "-q", "--orphan", "unrelated")
    git("commit", "-qm", "x", "--allow-empty")
    with pytest.raises(UsageError, match="git does not know where main and HEAD part") as caught:
        changed_files(str(repository), "main", {})
    assert "GIT_DEPTH" in caught.value.hint
    with pytest.raises(UsageError, match="not a git repository"):
        changed_files(str(tmp_path_factory.mktemp("none")), "main", {})
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="needs git, which is not installed"):
        changed_files(str(repository), "main", {})
