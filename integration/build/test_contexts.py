"""Named build contexts, with each driver, in place of images, stages, sources; where a Dockerfile comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.support.builders import Executor
from integration.support.flatten import Tree, flatten
from integration.support.images import StoredImage, read_layout
from integration.support.programs import ProgramError, run
from integration.support.recipes import File, make_files
from integration.support.registries import RegistryServer
from tests.support.fake_web import Page, Web, make_repository, serve_web

Build = Callable[..., StoredImage]


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A folder that is given as a named context."""
    folder = tmp_path / "named"
    make_files(folder, {
        "a": File(content="a\n", mode=0o640, uid=7, gid=8),
        "sub/b": "b\n",
        "secret.log": "hidden\n",
        ".dockerignore": "*.log\n",
    })  # fmt: skip
    return folder


@pytest.fixture
def build(executor: Executor, tmp_path: Path) -> Build:
    """Builds a Dockerfile, whose context has the file `main`, and gives the image."""
    context = tmp_path / "context"
    make_files(context, {"main": "main\n"})

    def build(text: str, *flags: str, **contexts: str | Path) -> StoredImage:
        (context / "Dockerfile").write_text(text.replace("registry.test", executor.registry))
        layout = tmp_path / f"layout-{len(list(tmp_path.iterdir()))}"
        words = [f"--build-context={name}={value}" for name, value in contexts.items()]
        executor.run(f"--context={context}", *words, "--no-push", f"--oci-layout-path={layout}", *flags)
        return read_layout(layout)

    return build


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serve_web() as server:
        server.repositories = tmp_path / "repositories"
        server.repositories.mkdir()
        yield server


def files(tree: Tree, below: str) -> dict[str, tuple[str, int, int, int]]:
    """Kind, mode and owner by path, of what is below a directory."""
    return {
        path.removeprefix(below): (entry.kind, entry.mode, entry.uid, entry.gid)
        for path, entry in tree.items()
        if path.startswith(below)
    }


EXPECTED = {
    "a": ("file", 0o640, 0, 0),
    "sub": ("dir", 0o755, 0, 0),
    "sub/b": ("file", 0o644, 0, 0),
    ".dockerignore": ("file", 0o644, 0, 0),
}


def test_a_directory_serves_every_from(build: Build, named: Path) -> None:
    text = (
        "FROM registry.test/busybox\nCOPY --from=src / /copied/\n"
        "RUN --mount=type=bind,from=src,target=/m ls /m > /seen && cat /m/sub/b >> /seen\n"
        "RUN --mount=type=cache,from=src,source=/,id=fresh,target=/c cat /c/a > /cached\n"
        "RUN --mount=type=bind,rw,from=src,target=/m echo x > /m/a\nCOPY --from=src a /again\nCOPY main /\n"
    )
    tree = flatten(build(text, src=named))
    assert files(tree, "/copied/") == EXPECTED
    assert {"/seen", "/cached", "/again", "/main"} <= set(tree)
    assert tree["/again"].sha256 == tree["/cached"].sha256 == tree["/copied/a"].sha256
    assert tree["/seen"].size == len("a\nsub\nb\n")


def test_a_directory_in_place_of_an_image_and_of_a_stage(build: Build, named: Path) -> None:
    image = build("FROM anything:1.0\nCOPY main /\n", **{"anything:1.0": named})
    assert files(flatten(image), "/") == {**EXPECTED, "main": ("file", 0o644, 0, 0)}
    assert len(image.layers) == 2
    text = "FROM registry.test/busybox AS made\nRUN exit 7\nFROM registry.test/busybox\nCOPY --from=0 / /x/\n"
    assert files(flatten(build(text, made=named)), "/x/") == EXPECTED
    assert files(flatten(build("FROM registry.test/absent AS only\nRUN false\n", only=named)), "/") == EXPECTED


def test_images_in_place_of_images(build: Build, executor: Executor, tmp_path: Path) -> None:
    host = executor.registry
    image = build("FROM debian\nCOPY --from=tool /srv/keep /\n", debian=f"docker-image://{host}/busybox",
                  tool=f"docker-image://{host}/layered:latest")  # fmt: skip
    assert {"/bin/busybox", "/keep"} <= set(flatten(image))
    layout = tmp_path / "base"
    run(["skopeo", "copy", "--src-tls-verify=false", f"docker://{host}/layered", f"oci:{layout}:some"])
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    for suffix in ("", ":some", f"@{digest}"):
        image = build("FROM base\nUSER root\nRUN echo x > /srv/new\n", base=f"oci-layout://{layout}{suffix}")
        assert image.config["config"]["Labels"]["base"] == "layered"
        assert {"/srv/new", "/srv/hard"} <= set(flatten(image))
    image = build("FROM base\nCOPY --from=nothing / /x\nCOPY main /\n", base="docker-image://scratch",
                  nothing="docker-image://scratch")  # fmt: skip
    assert "/main" in flatten(image)


def test_repositories_and_urls(build: Build, web: Web) -> None:
    assert web.repositories
    make_repository(web.repositories / "r.git", {"d/f": "f\n", ".dockerignore": "d\n"})
    web.pages["/x.tar"] = Page(b"no archive")
    text = "FROM scratch\nCOPY --from=repo . /repo/\nCOPY --from=url . /url/\n"
    tree = flatten(build(text, repo=f"{web.url}/r.git#main", url=f"{web.url}/x.tar"))
    assert {path for path in tree if path.startswith("/repo/")} == {"/repo/d", "/repo/d/f", "/repo/.dockerignore"}
    assert tree["/url/context"].size == len("no archive")


def test_what_is_copied_counts_in_keys_and_times_do_not(
    executor: Executor, registry: RegistryServer, named: Path, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    base = f"FROM {registry.host}/busybox"
    make_files(context, {"Dockerfile": f"{base}\nCOPY --from=src a /\nRUN --mount=from=src,target=/m cat /m/a\n"})

    def cached() -> list[bool]:
        flags = ["--no-push", "--cache", f"--cache-repo=dir:{tmp_path}/cache", "--cache-copy-layers"]
        words = executor.argv(f"--context={context}", f"--build-context=src={named}", "--log-format=json", *flags)
        log = run(["sh", "-c", 'exec "$@" 2>&1', "sh", *words], env=environment(executor))
        events: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]
        return [event["cached"] for event in events if event["type"] == "StepFinished"]

    assert cached() == [False, False]
    os.utime(named / "a", (1, 1))
    assert cached() == [True, True]
    (named / "sub/b").write_text("other\n")
    assert cached() == [True, False]
    (named / "a").write_text("other\n")
    assert cached() == [False, False]


def environment(executor: Executor) -> dict[str, str]:
    return {**os.environ, "KRUNNER_HOME": str(executor.home)}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("src=absent", "the build context src (absent) does not exist"),
        ("src=oci-layout://absent", "is not an OCI layout"),
        ("scratch=x", "cannot be called 'scratch'"),
        ("src", "is not NAME=VALUE"),
    ],
)
def test_faults_name_the_context(build: Build, flag: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        build("FROM scratch\nCOPY --from=src / /\n", f"--build-context={flag}")
    assert message in str(caught.value)


def test_where_a_dockerfile_comes_from(executor: Executor, web: Web, tmp_path: Path) -> None:
    context, elsewhere, layout = tmp_path / "context", tmp_path / "elsewhere", tmp_path / "layout"
    make_files(context, {"a": "a\n", "b": "b\n", ".dockerignore": "a\n"})
    text = "\ufeff# syntax=registry.invalid/frontend:9\r\nFROM scratch\r\nCOPY . /\r\n"
    make_files(elsewhere, {"My.Dockerfile": text, "My.Dockerfile.dockerignore": "b\n"})
    web.pages["/d/Dockerfile"] = Page(text.encode())
    for flag, stdin, kept in (
        ("-", text, "/b"),
        (f"{web.url}/d/Dockerfile", "", "/b"),
        (str(elsewhere / "My.Dockerfile"), "", "/a"),
    ):
        words = [
            f"--context={context}",
            f"--dockerfile={flag}",
            "--no-push",
            f"--oci-layout-path={layout}{kept}{flag[:1]}",
        ]
        script = 'printf %s "$0" | "$@"'
        run(["sh", "-c", script, stdin, *executor.argv(*words)], env=environment(executor))
        found = set(flatten(read_layout(Path(f"{layout}{kept}{flag[:1]}"))))
        assert found & {"/a", "/b"} == {kept}


def test_the_epoch_of_a_named_context_or_a_stage(build: Build, web: Web) -> None:
    """As BuildKit has it: the time of the commit, of the download; none of a folder."""
    assert web.repositories
    make_repository(web.repositories / "src.git", {"f": "1\n"})
    web.pages["/file"] = Page(b"x", headers={"Last-Modified": "Thu, 01 Jan 2004 00:00:00 GMT"})
    text = (
        "FROM scratch AS code\nARG NAME=file\nADD {}/$NAME /\nFROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY main /\n"
    )
    stage = text.format(web.url)
    epoch = "--build-arg=SOURCE_DATE_EPOCH={}".format
    assert build(stage, epoch("code")).config["created"].startswith("2004-01-01T00:00:00")
    repository = f"{web.url}/src.git"
    by_commit = build(stage, epoch("src"), src=repository).config["created"]
    assert build(f"ARG SOURCE_DATE_EPOCH=src\n{stage}", src=repository).config["created"] == by_commit
    assert by_commit != build(stage, epoch("web"), web=f"{web.url}/file").config["created"]
    assert not build(stage, epoch("main"), main=".").config["created"].startswith("2004")
    with pytest.raises(ProgramError, match="neither a number of seconds nor a named context or a stage"):
        build(stage, epoch("nothing"))
