"""git repositories over smart HTTP: refs, folders, credentials, and what must not be seen of them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from executor import hangup
from executor.context import git
from executor.context.git import clone, commit_of
from executor.context.giturl import GitSource, is_git_url, parse_context_url, parse_git_url
from executor.errors import ContextError, Error, StoppedError
from executor.events import discard
from tests.support.fake_web import Web, make_repository, serve_web
from tests.support.trees import Dir, File, read_tree


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("GIT_TOKEN", "GIT_USERNAME", "GIT_PASSWORD", "GIT_PULL_METHOD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with serve_web() as server:
        server.repositories = tmp_path / "repositories"
        server.repositories.mkdir()
        yield server


def fetched(source: GitSource, tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return Path(clone(source, str(work), discard).folder)


@pytest.mark.parametrize(
    ("text", "is_git"),
    [
        ("https://host/a/b.git", True),
        ("https://host/a/b.git#main:sub", True),
        ("http://host/b.git?x=y", True),
        ("https://host/a/b", False),
        ("https://host/a.git/b.tar", False),
        ("git://host/b", True),
        ("ssh://git@host/b", True),
        ("git@host:a/b.git", True),
        ("git@host:a/b#v1:sub", True),
        ("a/b:c", False),
        ("./git@host:b", False),
        ("file", False),
        ("http://[x/y.git", False),
    ],
)
def test_what_is_a_git_url(text: str, *, is_git: bool) -> None:
    assert is_git_url(text) is is_git


def test_parts_of_a_url() -> None:
    found = parse_git_url("https://host/a.git#v1:some/folder")
    assert (found.remote, found.ref, found.folder) == ("https://host/a.git", "v1", "some/folder")
    assert parse_git_url("git@host:a.git?tag=v1#:x/../y").folder == "y"
    assert parse_git_url("https://host/a.git#a%23b:c%20d").folder == "c d"


URL = "https://host/a.git"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("?ref=v1", GitSource(remote=URL, ref="v1")),
        ("?ref=v1#v1", GitSource(remote=URL, ref="v1")),
        ("?tag=v1", GitSource(remote=URL, ref="refs/tags/v1")),
        ("?tag=v1&ref=refs/tags/v1", GitSource(remote=URL, ref="refs/tags/v1")),
        ("?branch=refs/heads/x", GitSource(remote=URL, ref="refs/heads/x")),
        ("?subdir=/a/../b", GitSource(remote=URL, folder="b")),
        ("?subdir=..#main:", GitSource(remote=URL, ref="main")),
        ("?subdir=a%2Fb#main", GitSource(remote=URL, ref="main", folder="a/b")),
        ("?checksum=abc", GitSource(remote=URL, commit="abc")),
        ("?commit=ABC&checksum=ABC", GitSource(remote=URL, commit="ABC")),
        ("?submodules=false", GitSource(remote=URL, submodules=False)),
        ("?submodules", GitSource(remote=URL)),
        ("?keep-git-dir", GitSource(remote=URL, keep_git_dir=True)),
        ("?keep-git-dir=0", GitSource(remote=URL, keep_git_dir=False)),
        ("?mtime=commit", GitSource(remote=URL, commit_times=True)),
        (f"?fetch-by-commit&commit={'a' * 40}", GitSource(remote=URL, commit="a" * 40, by_commit=True)),
    ],
)
def test_a_query_says_what_to_take(text: str, expected: GitSource) -> None:
    assert parse_git_url(URL + text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("?ref=a#b", "names two of ref: 'b' and 'a'"),
        ("?ref=v1&tag=v1", "names two of ref: 'v1' and 'refs/tags/v1'"),
        ("?tag=a&branch=b", "a tag or a branch, not both"),
        ("?subdir=a#:b", "names two of subdir: 'b' and 'a'"),
        ("?commit=ab&checksum=cd", "names two of commit"),
        ("?commit=main", "no commit id"),
        ("?ref=", "ref has no value"),
        ("?ref=a&ref=b", "ref is given twice"),
        ("?refs=a", "unknown key 'refs'"),
        ("?mtime=now", "mtime is checkout or commit, not 'now'"),
        ("?submodules=maybe", "submodules is true or false, not 'maybe'"),
        ("?fetch-by-commit=1", "needs the whole id of a commit"),
    ],
)
def test_a_wrong_query(text: str, message: str) -> None:
    with pytest.raises(ContextError, match=message):
        parse_git_url(f"https://me:s3cret@host/a.git{text}")


@pytest.mark.parametrize(
    ("text", "method", "remote", "ref"),
    [
        ("git://host/a.git", "", "https://host/a.git", ""),
        ("git://host/a.git#refs/heads/x", "http", "http://host/a.git", "refs/heads/x"),
        ("git://host/a.git#refs/heads/x#abc123", "", "https://host/a.git", "abc123"),
        ("git@host:a.git#x", "", "git@host:a.git", "x"),
    ],
)
def test_context_urls(text: str, method: str, remote: str, ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_PULL_METHOD", method)
    found = parse_context_url(text)
    assert (found.remote, found.ref) == (remote, ref)


def test_a_wrong_pull_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_PULL_METHOD", "ssh")
    with pytest.raises(ContextError, match="GIT_PULL_METHOD"):
        parse_context_url("git://host/a.git")


def test_branches_tags_commits_and_folders(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    repository = web.repositories / "a.git"
    first = make_repository(repository, {"f": "1", "d/g": "2"}, tag="v1")
    make_repository(repository, {"f": "3"})
    make_repository(repository, {"f": "4"}, branch="other")
    contents = {}
    for ref in ("", "v1", "refs/tags/v1", "other", "refs/heads/main", first):
        folder = tmp_path / f"work{len(contents)}"
        folder.mkdir()
        clone(GitSource(remote=f"{web.url}/a.git", ref=ref), str(folder), discard)
        contents[ref] = (folder / "f").read_text()
        assert not (folder / ".git").exists()
    assert contents == {"": "3", "v1": "1", "refs/tags/v1": "1", "other": "4", "refs/heads/main": "3", first: "1"}
    source = GitSource(remote=f"{web.url}/a.git", ref="v1", folder="d")
    assert read_tree(fetched(source, tmp_path)) == {"g": File("2")}


def test_modes_do_not_depend_on_the_umask(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    make_repository(web.repositories / "a.git", {"d/f": "1"})
    before = os.umask(0o077)
    try:
        found = fetched(GitSource(remote=f"{web.url}/a.git"), tmp_path)
    finally:
        os.umask(before)
    assert read_tree(found) == {"d": Dir(), "d/f": File("1")}
    assert found.stat().st_mode & 0o777 == 0o755


def test_the_commit_is_checked(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    commit = make_repository(web.repositories / "a.git", {"f": "1"})
    source = GitSource(remote=f"{web.url}/a.git", keep_git_dir=True, commit=commit)
    assert (fetched(source, tmp_path) / ".git/HEAD").read_text().strip() == commit
    (tmp_path / "again").mkdir()
    with pytest.raises(ContextError, match=f"is at the commit {commit}, not 0123"):
        clone(replace(source, commit="0123"), str(tmp_path / "again"), discard)


def git_of(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_of_a_branch_and_a_tag_of_one_name_it_is_the_branch(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    repository = web.repositories / "a.git"
    make_repository(repository, {"f": "tag"}, tag="same")
    branch = make_repository(repository, {"f": "branch"}, branch="same")
    assert (fetched(GitSource(remote=f"{web.url}/a.git", ref="same"), tmp_path) / "f").read_text() == "branch"
    (tmp_path / "empty").mkdir()
    assert commit_of(GitSource(remote=f"{web.url}/a.git", ref="same"), str(tmp_path / "empty")) == branch


def test_an_annotated_tag_has_two_ids(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    repository = web.repositories / "a.git"
    commit = make_repository(repository, {"f": "1"})
    git_of(repository, "-c", "user.name=n", "-c", "user.email=e", "tag", "-a", "-m", "m", "v1", commit)
    tag = git_of(repository, "rev-parse", "v1")
    assert tag != commit
    source = GitSource(remote=f"{web.url}/a.git", ref="v1")
    (tmp_path / "empty").mkdir()
    assert commit_of(source, str(tmp_path / "empty")) == commit
    for number, checksum in enumerate((tag, commit)):
        folder = tmp_path / str(number)
        folder.mkdir()
        clone(replace(source, commit=checksum), str(folder), discard)
        assert (folder / "f").read_text() == "1"


def test_files_as_old_as_the_commit(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    repository = web.repositories / "a.git"
    commit = make_repository(repository, {"d/f": "1"})
    made = int(git_of(repository, "show", "--no-patch", "--format=%ct", commit))
    found = fetched(GitSource(remote=f"{web.url}/a.git", commit_times=True), tmp_path)
    (tmp_path / "again").mkdir()
    assert clone(GitSource(remote=f"{web.url}/a.git"), str(tmp_path / "again"), discard).made == made
    assert {path.stat().st_mtime for path in (found, found / "d", found / "d/f")} == {made}


def test_a_commit_is_fetched_without_asking_for_the_ref(web: Web, tmp_path: Path) -> None:
    assert web.repositories
    repository = web.repositories / "a.git"
    first = make_repository(repository, {"f": "1"})
    make_repository(repository, {"f": "2"})
    source = GitSource(remote=f"{web.url}/a.git", ref="main", commit=first, by_commit=True)
    assert (fetched(source, tmp_path) / "f").read_text() == "1"
    (tmp_path / "again").mkdir()
    with pytest.raises(ContextError, match="is at the commit"):
        clone(replace(source, by_commit=False), str(tmp_path / "again"), discard)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({"GIT_USERNAME": "me", "GIT_PASSWORD": "s3cret"}, "{url}", "me:s3cret"),
        ({"GIT_TOKEN": "s3cret"}, "{url}", "x-access-token:s3cret"),
        ({}, "http://me:s3cret@{address}", "me:s3cret"),
    ],
)
def test_credentials(
    environment: dict[str, str],
    url: str,
    expected: str,
    web: Web,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert web.repositories
    make_repository(web.repositories / "a.git", {"f": "1"})
    web.credentials = expected
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    commands: list[object] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda argv, **options: commands.append(argv) or popen(argv, **options)
    )
    remote = url.format(url=web.url, address=web.url.removeprefix("http://")) + "/a.git"
    found = fetched(GitSource(remote=remote, keep_git_dir=True), tmp_path)
    assert (found / "f").read_text() == "1"
    assert commands
    assert "s3cret" not in str(commands)
    assert "s3cret" not in (found / ".git/config").read_text()


@pytest.mark.parametrize("password", ["", "wrong-s3cret"])
def test_refused_without_a_prompt_and_without_telling_the_password(
    password: str, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert web.repositories
    make_repository(web.repositories / "a.git", {"f": "1"})
    web.credentials = "me:right"
    monkeypatch.setenv("GIT_PASSWORD", password)
    with pytest.raises(ContextError, match=r"/a.git: git ls-remote failed: ") as caught:
        fetched(GitSource(remote=f"{web.url}/a.git"), tmp_path)
    assert "wrong-s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (GitSource(remote="/none.git"), "git ls-remote failed"),
        (GitSource(remote="/a.git", ref="none"), "has no branch, tag or ref 'none'"),
        (GitSource(remote="/a.git", ref="abc123"), "has no branch, tag or ref 'abc123'"),
        (GitSource(remote="/a.git", ref="0" * 40), "git fetch failed|git rev-parse failed"),
        (GitSource(remote="/a.git", folder="none"), "has no folder 'none'"),
        (GitSource(remote="/a.git", folder="../.."), "has no folder"),
        (GitSource(remote="/a.git", ref="--upload-pack=x"), "cannot begin with '-'"),
    ],
)
def test_what_cannot_be_fetched(source: GitSource, message: str, web: Web, tmp_path: Path) -> None:
    assert web.repositories
    make_repository(web.repositories / "a.git", {"f": "1"})
    with pytest.raises(ContextError, match=message):
        fetched(replace(source, remote=web.url + source.remote), tmp_path)


def test_git_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContextError, match="needs the git command"):
        clone(GitSource(remote="https://host/a.git"), str(tmp_path), discard)


def test_a_git_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nsleep 100 & wait\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "_SECONDS", 0.2)
    with pytest.raises(ContextError, match="took longer than"):
        clone(GitSource(remote="https://host/a.git"), str(tmp_path), discard)


def test_git_ends_with_the_build_also_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears of no signal, and neither does the thread that waits for it."""
    programs, begun = tmp_path / "bin", tmp_path / "begun"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\necho $$ > {begun}.new && mv {begun}.new {begun}\nexec sleep 60\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    raised: list[Error] = []

    def work() -> None:
        try:
            fetched(GitSource(remote="https://host/a.git"), tmp_path)
        except Error as error:
            raised.append(error)

    hangup.begin()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not begun.exists():
        time.sleep(0.005)
    hangup.hang_up(15)
    thread.join(5)
    hangup.begin()
    assert [type(error) for error in raised] == [StoppedError]
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
