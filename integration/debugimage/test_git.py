"""The debug image's own git: contexts and ADD from repositories over HTTP, in containers that have no other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.support.builders import Docker
from integration.support.container import Container, started
from integration.support.flatten import flatten
from integration.support.images import read_layout
from integration.support.registries import RegistryServer, TlsFiles
from tests.support.fake_web import Web, make_repository, serve_web

_TOKEN = "t0p-secret"


@pytest.fixture(scope="module")
def web(work: Path) -> Iterator[Web]:
    """A server of repositories that wants a password: `app` with a Dockerfile and a submodule, and `part`."""
    with serve_web() as server:
        server.repositories = work / "repositories"
        server.repositories.mkdir()
        server.credentials = f"x-access-token:{_TOKEN}"
        part = make_repository(server.repositories / "part.git", {"part": "of another\n"}, tag="v1")
        app = server.repositories / "app.git"
        files = {"sub/Dockerfile": "FROM scratch\nCOPY . /all\n", "sub/file": "content\n"}
        make_repository(app, files | {".gitmodules": _modules(server.url)}, tag="v2")
        _add_submodule(app, "sub/module", part)
        yield server


def _modules(url: str) -> str:
    return f'[submodule "m"]\n\tpath = sub/module\n\turl = {url}/part.git\n'


def _add_submodule(repository: Path, path: str, commit: str) -> None:
    """Commit a submodule to a bare repository."""

    def git(*words: str) -> str:
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
        done = subprocess.run(
            ["git", f"--git-dir={repository}", *identity, *words],
            env={"GIT_INDEX_FILE": str(repository / "work-index"), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    git("update-ref", "refs/heads/main", git("commit-tree", "-m", "module", "-p", "main", git("write-tree")))


@pytest.fixture(scope="module")
def container(krunner_images: Docker, work: Path, tls: TlsFiles) -> Iterator[Container]:
    """A container that trusts one authority more."""
    workspace = work / "git-workspace"
    workspace.mkdir()
    with started(krunner_images, workspace, f"--volume={tls.ca}:/kaniko/ssl/certs/own.pem:ro") as container:
        yield container


def test_a_context_with_a_password(container: Container, web: Web) -> None:
    layout = container.workspace / "context-layout"
    done = container.run(
        *("executor", f"--context=git://{web.url.removeprefix('http://')}/app.git#refs/heads/main"),
        *("--context-sub-path=sub", "--no-push", f"--oci-layout-path=/workspace/{layout.name}"),
        env={"GIT_TOKEN": _TOKEN, "GIT_PULL_METHOD": "http"},
    )
    assert done.status == 0, done.output
    assert _TOKEN not in done.output
    assert sizes(layout, "/all/") == {"/all/Dockerfile": 25, "/all/file": 8, "/all/module/part": 11}


def test_adding_a_repository_between_commands(container: Container, web: Web, base_host: str) -> None:
    """ADD runs git after commands had `/`, with the container's own shell again."""
    layout = container.workspace / "add-layout"
    lines = [
        f"FROM {base_host}/busybox",
        "RUN echo one > /one",
        f"ADD {web.url}/app.git#main:sub /app",
        "RUN test -e /app/file && cat /proc/self/status > /two",
    ]
    (container.workspace / "Dockerfile").write_text("\n".join(lines))
    done = container.run(
        *container.executor("--context=/workspace", "--no-push", f"--oci-layout-path=/workspace/{layout.name}"),
        env={"GIT_TOKEN": _TOKEN},
    )
    assert done.status == 0, done.output
    assert sizes(layout, "/app/") == {"/app/Dockerfile": 25, "/app/file": 8, "/app/module/part": 11}


def sizes(layout: Path, below: str) -> dict[str, int]:
    """The files below a folder of an image."""
    tree = flatten(read_layout(layout))
    return {path: entry.size for path, entry in tree.items() if path.startswith(below) and entry.kind == "file"}


def test_without_the_password_the_message_says_so(container: Container, web: Web) -> None:
    done = container.run("executor", f"--context={web.url}/app.git", "--no-push")
    assert done.status == 1
    assert "app.git: git ls-remote failed" in done.output


def test_git_trusts_what_the_image_trusts(container: Container, tls_registry: RegistryServer) -> None:
    """The registry is no git server, but its certificate is accepted: the answer is about the repository."""
    done = container.run("git", "ls-remote", f"https://{tls_registry.host}/nothing.git")
    assert "certificate" not in done.output
    assert "not found" in done.output
