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
    for name in ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "GITHUB_BASE_REF", "CHANGE_TARGET", "GIT_DIR"):
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


@pytest.mark.parametrize("variable", ["GITHUB_BASE_REF", "CHANGE_TARGET"])
def test_the_target_branch_of_a_pull_request(planned, repository, monkeypatch, variable):
    git("update-ref", "refs/remotes/origin/trunk", "HEAD")
    (repository / "app" / "a").write_text("x")
    monkeypatch.setenv(variable, "trunk")
    assert planned("builds.yaml", "--changed") == ["app"]


def test_a_submodule_that_moved_is_all_of_its_files(planned, repository, tmp_path_factory):
    upstream = tmp_path_factory.mktemp("upstream")
    git("init", "-q", str(upstream))
    git("-C", str(upstream), "commit", "-qm", "first", "--allow-empty")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(upstream), "app/sub")
    (repository / "builds.yaml").write_text(
        TEXT + "  - {name: sub, context: app/sub, dockerfile_inline: FROM scratch, no_push: true}\n"
    )
    git("add", "-A")
    git("commit", "-qm", "with a submodule")
    assert planned() == []
    (repository / "app" / "sub" / "new").write_text("")
    git("-C", "app/sub", "add", "-A")
    git("-C", "app/sub", "commit", "-qm", "second")
    assert planned() == ["app", "sub"]


def test_a_shallow_clone_that_lacks_the_commit(repository, tmp_path_factory):
    shallow = str(tmp_path_factory.mktemp("shallow"))
    before = git("rev-parse", "HEAD")
    git("commit", "-qm", "second", "--allow-empty")
    git("clone", "-q", "--depth=1", f"file://{repository}", shallow)
    with pytest.raises(UsageError, match=f"git does not know {before}") as caught:
        changed_files(shallow, "", {"CI_MERGE_REQUEST_DIFF_BASE_SHA": before})
    assert "GIT_DEPTH" in caught.value.hint


def test_a_checkout_of_another_user(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match="dubious ownership") as caught:
        changed_files(str(repository), "main", {})
    assert caught.value.hint == f"if you trust it: git config --global --add safe.directory {repository}"


def test_mistakes(repository, tmp_path_factory, monkeypatch):
    with pytest.raises(UsageError, match="git does not know origin/HEAD") as caught:
        changed_files(str(repository), "", {})
    assert "--changed=origin/main" in caught.value.hint
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
