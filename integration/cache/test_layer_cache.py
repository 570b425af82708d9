"""The layer cache in whole builds, with each driver: a replay is the build it replays, and nothing is mixed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.support.builders import Executor
from integration.support.flatten import Tree, flatten
from integration.support.images import StoredImage, read_layout
from integration.support.programs import free_port
from integration.support.registries import RegistryServer
from tests.support.fake_registry import FakeRegistry, Fault

FLAGS = ("--cache", "--cache-copy-layers")
any_driver_will_do = pytest.mark.parametrize("executor", ["overlay"], indirect=True)
DOCKERFILE = """\
FROM registry.test/layered AS build
ARG GREETING=hello
USER 0
WORKDIR /src
COPY . .
RUN rm -rf /etc/passwd && mkdir -p /out && echo "$GREETING" > /out/greeting && ln /out/greeting /out/hard
RUN test -e /out/greeting

FROM registry.test/busybox
ENV MODE=fast
RUN mkdir -p /a/b && echo 1 > /a/b/file && echo 2 > /gone && chmod 4711 /a/b/file
RUN rm -r /gone /a/b && mkdir -p /a/b && echo new > /a/b/other
COPY --from=build --chown=7:8 /out /from-build
ADD --chmod=640 sub/data /data
USER 5:6
WORKDIR /made/here
COPY <<EOF /document
text $MODE
EOF
CMD ["x"]
"""
CHANCE = "head -c 20 /dev/urandom | od -An -tx1"
MIXED = f"""\
FROM registry.test/busybox
RUN {CHANCE} > /one
RUN cp /one /two && {CHANCE} > /chance
RUN cp /two /three
"""


class Builds:
    """Builds one context again and again, each time with a store that is new."""

    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor, self.folder = executor, folder
        self.context = folder / "context"
        (self.context / "sub").mkdir(parents=True)
        (self.context / "sub" / "data").write_text("data")
        (self.context / "main").write_text("int main;")
        (self.context / "link").symlink_to("main")
        self.log: list[dict[str, Any]] = []
        self._count = 0

    def __call__(self, dockerfile: str, *flags: str | Path) -> StoredImage:
        self._count += 1
        folder = self.folder / f"build-{self._count}"
        text = self.folder / "Dockerfile"
        text.write_text(dockerfile.replace("registry.test", self.executor.registry))
        words = [f"--context={self.context}", f"--dockerfile={text}", "--log-format=json"]
        if not any(str(flag).startswith("--destination") for flag in flags):
            words.append("--no-push")
        argv = self.executor.argv(*words, f"--oci-layout-path={folder}/layout", *flags)
        environment = {**os.environ, "KRUNNER_HOME": f"{folder}/home"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=100, check=False)
        self.log = [json.loads(line) for line in done.stderr.splitlines()]
        assert done.returncode == 0, done.stderr
        shutil.rmtree(folder / "home")
        return read_layout(folder / "layout")

    def cached(self, dockerfile: str, place: str, *flags: str | Path) -> StoredImage:
        return self(dockerfile, *FLAGS, f"--cache-repo={place}", *flags)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.log if event["type"] == kind]

    @property
    def hits(self) -> list[bool]:
        """For each look-up, in order, whether it was a hit."""
        return [bool(event["hit"]) for event in self.events("CacheLookedUp")]

    @property
    def warnings(self) -> list[str]:
        return [str(event["message"]) for event in self.events("Warned")]


@pytest.fixture
def builds(executor: Executor, work: Path) -> Iterator[Builds]:
    folder = work / f"cache-{len(list(work.iterdir()))}-{executor.driver}"
    folder.mkdir()
    yield Builds(executor, folder)
    shutil.rmtree(folder)


@pytest.fixture
def folder_place(builds: Builds) -> str:
    return f"dir:{builds.folder}/cache"


def config_of(image: StoredImage) -> dict[str, Any]:
    """The configuration without what two builds never share: times and digests."""
    config: dict[str, Any] = json.loads(json.dumps(image.config))
    for timed in (config, *config["history"]):
        timed.pop("created", None)
    return {**config, "rootfs": len(config["rootfs"]["diff_ids"])}


def untimed(tree: Tree) -> Tree:
    return {path: dataclasses.replace(entry, mtime=0) for path, entry in tree.items()}


@pytest.mark.parametrize("kind", ["registry", "oci", "dir"])
def test_a_replay_is_the_build_that_it_replays(builds: Builds, registry: RegistryServer, kind: str) -> None:
    place = f"{kind}:{builds.folder}/cache"
    if kind == "registry":
        place = f"{registry.host}/layers/{builds.folder.name}"
    fresh = builds.cached(DOCKERFILE, place)
    assert builds.hits == [False] * 10
    replayed = builds.cached(DOCKERFILE, place)
    assert builds.hits == [True] * 10
    assert builds.warnings == []
    assert builds.events("DriverChosen") == [], "nothing needed a file system"
    assert flatten(replayed) == flatten(fresh)
    assert replayed.config == fresh.config
    assert replayed.manifest == fresh.manifest
    uncached = builds(DOCKERFILE)
    assert untimed(flatten(uncached)) == untimed(flatten(fresh))
    assert config_of(uncached) == config_of(fresh)


def test_a_change_misses_from_there_on_and_nothing_else(builds: Builds, folder_place: str) -> None:
    text = DOCKERFILE[DOCKERFILE.index("FROM registry.test/busybox") :].replace(
        "COPY --from=build", "COPY sub/data #"
    )
    text = "\n".join(line.partition(" #")[0] + (" /copied" if " #" in line else "") for line in text.splitlines())
    builds.cached(text, folder_place)
    (builds.context / "main").touch()
    (builds.context / "sub" / "data").touch()
    builds.cached(text, folder_place)
    assert all(builds.hits)
    (builds.context / "sub" / "data").write_text("other")
    image = builds.cached(text, folder_place)
    assert builds.hits == [True, True, False, False, False, False]
    assert flatten(image)["/data"].size == len("other")
    (builds.context / "sub" / "data").chmod(0o600)
    builds.cached(text, folder_place)
    assert builds.hits[:3] == [True, True, False]


@any_driver_will_do
def test_arguments_and_environment_count_where_they_are_seen(builds: Builds, folder_place: str) -> None:
    text = "FROM registry.test/busybox\nRUN true\nARG A=1\nENV B=$A\nCOPY main /m\nRUN echo $B > /b\n"
    builds.cached(text, folder_place)
    image = builds.cached(text, folder_place, "--build-arg=A=2", "--build-arg=http_proxy=http://proxy")
    assert builds.hits == [True, True, False], "a COPY sees no variables, nor does a RUN see an undeclared proxy"
    assert "B=2" in image.config["config"]["Env"]
    builds.cached(text, folder_place, "--build-arg=http_proxy=http://other")
    assert builds.hits == [True, True, True]


@any_driver_will_do
def test_layers_expire(builds: Builds, folder_place: str) -> None:
    builds.cached(MIXED, folder_place)
    builds.cached(MIXED, folder_place, "--cache-ttl=1ns", "--no-push-cache")
    assert builds.hits == [False, False, False]
    assert sum("has expired" in warning for warning in builds.warnings) == 3
    builds.cached(MIXED, folder_place)
    assert builds.hits == [True, True, True]


def test_without_copy_layers_a_run_is_found_behind_a_copy(builds: Builds, folder_place: str) -> None:
    text = f"FROM registry.test/busybox\nCOPY . /src\nRUN {CHANCE} > /made\nCOPY main /again\nRUN cp /made /copy\n"
    flags = ("--cache", f"--cache-repo={folder_place}")
    first = flatten(builds(text, *flags))
    (builds.context / "main").touch()
    second = flatten(builds(text, *flags))
    assert builds.hits == [True, True]
    assert second["/made"].sha256 == first["/made"].sha256 == second["/copy"].sha256
    assert second["/src/main"].sha256 == first["/src/main"].sha256
    builds(text.replace("cp /made /copy", "cp /made /other"), *flags)
    assert builds.hits == [True, False]


def test_results_of_different_runs_are_not_mixed(builds: Builds, folder_place: str) -> None:
    builds.cached(MIXED, folder_place)
    first = str(builds.events("CacheLookedUp")[0]["key"])
    shutil.rmtree(builds.folder / "cache" / first)
    tree = flatten(builds.cached(MIXED, folder_place))
    assert builds.hits == [False, False, False]
    assert tree["/one"].sha256 == tree["/two"].sha256 == tree["/three"].sha256


def test_what_lies_behind_a_run_that_repeats_its_result_counts(builds: Builds, folder_place: str) -> None:
    text = f"FROM registry.test/busybox\nRUN test -e /bin\nRUN {CHANCE} > /one\n"
    builds.cached(text, folder_place)
    shutil.rmtree(builds.folder / "cache" / str(builds.events("CacheLookedUp")[0]["key"]))
    builds.cached(text, folder_place)
    assert builds.hits == [False, True]


def test_copies_from_a_stage_follow_its_results(builds: Builds, folder_place: str) -> None:
    text = f"""\
FROM registry.test/busybox AS one
RUN {CHANCE} > /one
FROM registry.test/busybox AS two
COPY --from=one /one /two
RUN test -e /two
FROM scratch
COPY --from=two /two /three
COPY --from=registry.test/layered /etc /etc
"""
    first = flatten(builds.cached(text, folder_place))
    key = str(builds.events("CacheLookedUp")[0]["key"])
    second = flatten(builds.cached(text, folder_place))
    assert builds.hits == [True] * 5
    assert second == first
    shutil.rmtree(builds.folder / "cache" / key)
    third = flatten(builds.cached(text, folder_place))
    assert builds.hits == [False, False, False, False, False]
    assert third["/three"].sha256 != first["/three"].sha256
    builds.cached(text, folder_place)
    assert builds.hits == [True] * 5


REBUILT = f"""\
FROM registry.test/busybox AS builder
COPY main /main
RUN mkdir /out && echo same > /out/file && chmod 640 /out/file && chown 3:4 /out/file && {CHANCE} > /log
FROM registry.test/busybox AS made
RUN echo first > /first
COPY --from=builder /out /out
RUN {CHANCE} > /made
COPY --from=builder /out/file /again
RUN test -e /again
"""


def test_a_stage_built_anew_with_the_same_files_changes_nothing_behind_it(
    builds: Builds, folder_place: str
) -> None:
    first = flatten(builds.cached(REBUILT, folder_place))
    (builds.context / "main").write_text("int main(void);")
    second = flatten(builds.cached(REBUILT, folder_place))
    assert builds.hits == [False, False, True, True, True, True, True], "what it copies is what it was"
    assert second == first
    assert flatten(builds.cached(REBUILT, folder_place)) == first
    assert all(builds.hits)
    assert builds.events("DriverChosen") == [], "now the stage is known as well"
    for change in ("echo other > /out/file", "chmod 600 /out/file", "chown 5:6 /out/file"):
        changed = flatten(builds.cached(REBUILT.replace("/log", f"/log && {change}"), folder_place))
        assert builds.hits == [True, False, True, False, False, False, False], change
        assert changed["/made"].sha256 != first["/made"].sha256
    assert builds.warnings == []


@any_driver_will_do
def test_it_changes_nothing_behind_a_copy_that_is_not_cached(builds: Builds, folder_place: str) -> None:
    flags = ("--cache", f"--cache-repo={folder_place}")
    first = flatten(builds(REBUILT, *flags))
    second = flatten(builds(REBUILT.replace("/log", "/log #"), *flags))
    assert builds.hits == [False, True, True, True]
    assert second["/made"].sha256 == first["/made"].sha256
    child = REBUILT.replace("RUN test -e /again", "FROM made\nRUN test -e /again")
    builds(child, *flags)
    builds(child.replace("/log", "/log ##"), *flags)
    assert builds.hits == [False, True, True, True], "nor in a stage that goes on from there"


@any_driver_will_do
def test_a_stage_that_only_a_trigger_names_has_keys(
    builds: Builds, folder_place: str, registry: RegistryServer
) -> None:
    name = f"{registry.host}/triggers/{builds.folder.name}"
    trigger = "FROM registry.test/busybox\nONBUILD COPY --from=late /made /made\n"
    builds(trigger, f"--destination={name}")
    text = f"FROM registry.test/busybox AS late\nRUN {CHANCE} > /made\nFROM {name}\nRUN cp /made /copy\n"
    first = flatten(builds.cached(text, folder_place))
    second = flatten(builds.cached(text, folder_place))
    assert builds.hits == [True, True], "with the copy known, the stage that it copies from is not asked for"
    assert second == first
    assert builds.events("DriverChosen") == []


def test_a_child_stage_goes_on_from_a_cached_parent(builds: Builds, folder_place: str) -> None:
    text = (
        "FROM registry.test/busybox AS a\nRUN echo 1 > /one\nFROM a\nRUN cp /one /two\nCOPY --from=a /one /three\n"
    )
    builds.cached(text, folder_place)
    image = builds.cached(text.replace("cp /one /two", "mv /one /two"), folder_place)
    assert builds.hits == [True, False, False]
    tree = flatten(image)
    assert "/one" not in tree
    assert {"/two", "/three"} <= set(tree)


def test_one_layer_of_a_stage_is_cached_whole(builds: Builds, folder_place: str) -> None:
    flags = ("--single-snapshot",)
    text = f"{MIXED}COPY main /m\nENV A=1\n"
    first = builds.cached(text, folder_place, *flags)
    second = builds.cached(text, folder_place, *flags)
    assert all(builds.hits)
    assert builds.events("DriverChosen") == []
    assert flatten(second) == flatten(first)
    assert config_of(second) == config_of(first)
    builds.cached(text, folder_place)
    assert not any(builds.hits), "layers of single steps are not in it"


@any_driver_will_do
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest"])
@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_a_damaged_folder_is_a_miss_with_a_warning(builds: Builds, kind: str, damage: str) -> None:
    place = f"{kind}:{builds.folder}/cache"
    text = f"FROM registry.test/busybox\nRUN {CHANCE} > /one\n"
    builds.cached(text, place)
    files = [path for path in (builds.folder / "cache").rglob("*") if path.is_file()]
    layers = [path for path in files if path.read_bytes()[:2] == b"\x1f\x8b"]
    manifests = [path for path in files if b'"layers":[' in path.read_bytes()[:1000]]
    (victim,) = manifests if damage == "manifest" else layers
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"truncate": content[:40], "flip": content, "manifest": b"{}"}
    victim.write_bytes(damaged[damage]) if damage in damaged else victim.unlink()
    builds.cached(text, place)
    assert builds.hits == [False]
    (warning,) = builds.warnings
    assert "cannot be used" in warning or "cannot be read" in warning


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


def test_a_damaged_registry_is_a_miss_with_a_warning(builds: Builds, fake: FakeRegistry) -> None:
    place = f"{fake.host}/cache"
    builds.cached(MIXED, place)
    keys = [str(event["key"]) for event in builds.events("CacheLookedUp")]
    layers = [json.loads(fake.manifests["cache"][key][1])["layers"][0]["digest"] for key in keys]
    fake.blobs["cache"][layers[1]] = b"garbage"
    tree = flatten(builds.cached(MIXED, place, "--no-push-cache"))
    assert builds.hits == [True, True, True, True, False, False], "found, found out, and begun again without it"
    assert [keys[1] in warning for warning in builds.warnings] == [True]
    assert tree["/one"].sha256 == tree["/three"].sha256
    del fake.blobs["cache"][layers[0]]
    fake.manifests["cache"][keys[1]] = fake.manifests["cache"][keys[2]]
    fake.manifests["cache"][keys[2]] = ("application/vnd.oci.image.index.v1+json", b'{"manifests":[]}')
    builds.cached(MIXED, place)
    assert builds.hits == [False, False, False]
    assert len(builds.warnings) == 3
    builds.cached(MIXED, place)
    assert builds.hits == [True, True, True], "it was mended"


@any_driver_will_do
def test_a_cache_that_is_down_fails_nothing(builds: Builds, fake: FakeRegistry) -> None:
    builds.cached(MIXED, f"127.0.0.1:{free_port()}/cache")
    assert builds.hits == [False, False, False]
    assert len(builds.warnings) == 2
    fake.faults.append(Fault(path="/v2/", status=403, times=1000))
    builds.cached(MIXED, f"{fake.host}/cache")
    assert builds.hits == [False, False, False]
    assert len(builds.warnings) == 2, "one that it cannot be read, one that it cannot be written"
    (builds.folder / "file").touch()
    builds.cached(MIXED, f"dir:{builds.folder}/file/cache")
    assert len(builds.warnings) == 2


@any_driver_will_do
def test_cached_layers_are_mounted_into_the_destination(builds: Builds, registry: RegistryServer) -> None:
    name = f"{registry.host}/mounts/{builds.folder.name}"
    first = builds(MIXED, *FLAGS, f"--destination={name}/one")
    second = builds(MIXED, *FLAGS, f"--destination={name}/two", f"--cache-repo={name}/one/cache")
    assert all(builds.hits)
    (push,) = builds.events("PushFinished")
    assert push["sent"] == 1, "the configuration"
    assert flatten(second) == flatten(first)


@any_driver_will_do
def test_sources_are_read_and_not_written(builds: Builds, folder_place: str) -> None:
    other = f"dir:{builds.folder}/other"
    builds.cached(MIXED, other)
    before = sorted((builds.folder / "other").iterdir())
    text = f"{MIXED}RUN test -e /three\n"
    builds(text, *FLAGS, f"--cache-repo={folder_place}", f"--cache-from={other}")
    assert builds.hits == [True, True, True, False]
    assert sorted((builds.folder / "other").iterdir()) == before
    assert len(list((builds.folder / "cache").iterdir())) == 1
