"""What the cases reach over HTTP: files for ADD, and a git repository."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from integration.support.bases import FILES_NAME
from integration.support.fileserver import serve_files
from integration.support.gitserver import make_repository, serve_git
from integration.support.programs import run
from integration.support.recipes import Archive, Dir, File, Node, Symlink, make_files

GIT_NAME = "git.test"
"""The host of the git repository `repo.git` in the Dockerfiles of the tests."""

_FILES: Mapping[str, Node] = {
    "plain.txt": File(content="downloaded\n"),
    "old.txt": File(content="old\n", mtime=86_400),
    "archive.tar": Archive(files={"inside": "inside\n"}),
    "archive.tar.gz": Archive(
        files={"d": Dir(mode=0o750, uid=3, gid=4), "d/f": File(content="f\n", mode=0o600, uid=5, gid=6)},
        compression="gz",
    ),
}
_COMMITS: Mapping[str, Mapping[str, Node]] = {
    "v1": {"README": "one\n", "src/main": File(content="#!/bin/sh\n", mode=0o755), "src/link": Symlink("main")},
    "v2": {"README": "the second\n", "src/deep/er": "deeper\n", ".gitignore": "*.o\n"},
}


@contextlib.contextmanager
def serve_sites(folder: Path) -> Iterator[Mapping[str, str]]:
    """Host name in the Dockerfiles → `127.0.0.1:port`."""
    make_files(folder / "files", _FILES)
    make_repository(folder / "git" / "repo.git", _COMMITS)
    with serve_files(folder / "files") as files, serve_git(folder / "git") as git:
        yield {FILES_NAME: files, GIT_NAME: git}


@contextlib.contextmanager
def ssh_agent(folder: Path) -> Iterator[Path]:
    """A real agent with a key of its own; yields its socket, which SSH_AUTH_SOCK names meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    socket, key = folder / "agent", folder / "key"
    pid = int(run(["ssh-agent", "-s", "-a", socket]).partition("SSH_AGENT_PID=")[2].partition(";")[0])
    before = os.environ.get("SSH_AUTH_SOCK")
    os.environ["SSH_AUTH_SOCK"] = str(socket)
    try:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        run(["ssh-add", "-q", key])
        yield socket
    finally:
        run(["ssh-agent", "-k"], env={**os.environ, "SSH_AGENT_PID": str(pid)})
        os.environ.pop("SSH_AUTH_SOCK")
        if before is not None:
            os.environ["SSH_AUTH_SOCK"] = before
