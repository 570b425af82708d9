"""The warmer and the store by whole commands: registries that go, processes that are killed, damage, pruning."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.build.test_nothing_unneeded import layer, put_image
from integration.support.builders import BIN, Executor
from integration.support.flatten import flatten
from integration.support.images import read_layout
from tests.support.fake_registry import FakeRegistry, Fault

pytestmark = pytest.mark.parametrize("executor", ["overlay"], indirect=True)
RUN = '["busybox", "touch", "/made"]'


class Place:
    """Two base images in a registry, and a folder for stores, contexts and warmed images."""

    def __init__(self, executor: Executor, registry: FakeRegistry, folder: Path) -> None:
        self.executor, self.registry, self.folder = executor, registry, folder
        self.host = registry.host
        self.cache = folder / "cache"
        for name in ("base", "other"):
            put_image(registry, name, layer("bin/busybox", link="bin/sh"), layer(name))
            context = folder / name
            context.mkdir()
            (context / "Dockerfile").write_text(f"FROM {self.host}/{name}\nRUN {RUN}\n")

    def argv(self, context: str, layout: str, *flags: str) -> list[str | Path]:
        words = [f"--context={self.folder}/{context}", "--no-push", f"--oci-layout-path={self.folder}/{layout}"]
        return list(self.executor.argv(*words, "--log-format=json", "--image-download-retry=0", *flags))

    def start(self, argv: list[str | Path], home: str = "home") -> subprocess.Popen[str]:
        environment = {**os.environ, "KRUNNER_HOME": f"{self.folder}/{home}"}
        return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def done(self, argv: list[str | Path], home: str = "home") -> str:
        process = self.start(argv, home)
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        return output + errors

    def warmer(self, *names: str) -> list[str | Path]:
        images = [f"--image={self.host}/{name}" for name in names]
        module = "from executor.warmer.cli import main; main()"
        return [sys.executable, "-c", module, f"--cache-dir={self.cache}", "--insecure-pull", *images]

    def krunner(self, *words: str) -> list[str | Path]:
        return [BIN / "krunner", *words]

    def blobs_fetched(self) -> int:
        return len(self.registry.seen("GET", "/blobs/"))


@pytest.fixture
def place(executor: Executor, work: Path, base_host: str) -> Iterator[Place]:
    folder = work / f"warm-{len(list(work.iterdir()))}"
    folder.mkdir()
    with FakeRegistry() as registry:
        yield Place(executor, registry, folder)


def test_builds_do_without_the_registry_that_the_warmer_read(place: Place) -> None:
    place.done(place.warmer("base", "other"))
    place.registry.requests.clear()
    place.done(place.argv("base", "one", f"--cache-dir={place.cache}"), "counted")
    assert place.blobs_fetched() == 0
    assert place.registry.seen("GET", "/manifests/") == []
    place.registry.faults.append(Fault(path="/v2/", times=10_000, drop_after=0))
    log = place.done(place.argv("base", "two", f"--cache-dir={place.cache}"), "gone")
    assert "is used as it is" in log
    assert flatten(read_layout(place.folder / "two")).keys() == flatten(read_layout(place.folder / "one")).keys()
    builds = [{"name": name, "context": name, "oci_layout": f"list-{name}"} for name in ("base", "other")]
    document = {"version": 1, "defaults": {"insecure": True, "rootfs": "overlay"}, "builds": builds}
    (place.folder / "builds.yaml").write_text(json.dumps(document))
    words = (f"{place.folder}/builds.yaml", f"--cache-dir={place.cache}", "--report-dir=")
    place.done(place.krunner(*words), "list")
    assert "/made" in flatten(read_layout(place.folder / "list-other"))


def test_a_warmer_that_is_killed_leaves_a_folder_for_the_next(place: Place) -> None:
    place.registry.faults.append(Fault(path="/base/blobs/", method="GET", times=2, trickle=0.001))
    killed = place.start(place.warmer("base"))
    deadline = time.monotonic() + 20
    while not place.registry.seen("GET", "/base/blobs/") and time.monotonic() < deadline:
        time.sleep(0.05)
    others = [place.start(place.warmer("base", "other")) for _ in range(2)]
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    for other in others:
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
    place.registry.requests.clear()
    place.done(place.argv("base", "one", f"--cache-dir={place.cache}"))
    assert place.blobs_fetched() == 0


def test_builds_go_well_while_the_store_is_pruned(place: Place) -> None:
    builds = [place.start(place.argv(name, f"{name}-{at}")) for at in range(3) for name in ("base", "other")]
    while any(build.poll() is None for build in builds):
        place.done(place.krunner("prune", "--all"))
    for build in builds:
        _, errors = build.communicate()
        assert build.returncode == 0, errors
    assert "0 B left" in place.done(place.krunner("prune", "--all"))
    place.done(place.argv("base", "again"))


def test_a_store_size_holds(place: Place) -> None:
    place.done(place.argv("base", "one"))
    before = place.done(place.krunner("prune", "--all", "--dry-run"))
    place.done(place.argv("base", "two", "--store-size=1kB"))
    after = place.done(place.krunner("prune", "--all", "--dry-run"))
    assert "would free" in before
    assert "would free 0 B, 0 B left" in after


def test_a_build_that_is_killed_leaves_a_store_for_the_next(place: Place) -> None:
    (place.folder / "base" / "Dockerfile").write_text(f"FROM {place.host}/base\nRUN {RUN}\nRUN busybox sleep 60\n")
    for wait in (0.5, 1.0, 1.5):
        killed = place.start(place.argv("base", "never"))
        time.sleep(wait)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    (place.folder / "base" / "Dockerfile").write_text(f"FROM {place.host}/base\nRUN {RUN}\n")
    place.done(place.argv("base", "one"))
    assert "/made" in flatten(read_layout(place.folder / "one"))
    assert os.listdir(place.folder / "home" / "work") == []


def test_damage_in_the_store_costs_a_download(place: Place) -> None:
    place.done(place.argv("base", "one"))
    manifest = json.loads(place.registry.manifests["base"]["latest"][1])
    victim = place.folder / "home" / "blobs" / "sha256" / manifest["layers"][1]["digest"].removeprefix("sha256:")
    victim.write_bytes(gzip.compress(b"damaged"))
    for path in (place.folder / "home" / "unpacked").iterdir():
        if path.is_dir():
            (path / "fs" / "more").touch()
            Path(f"{path}.seal").write_text("{}")
    log = place.done(place.argv("base", "two"))
    assert "was damaged" in log
    assert "/more" not in flatten(read_layout(place.folder / "two"))
    assert read_layout(place.folder / "two").manifest["layers"][:2] == manifest["layers"]


def test_a_user_has_a_store_of_his_own(place: Place) -> None:
    """Without KRUNNER_HOME it is in the user's home, though the build is root in its namespace."""
    home, nobody = place.folder / "nobody", 65534
    home.mkdir()
    place.folder.chmod(0o755)
    place.folder.parent.chmod(0o755)
    os.chown(home, nobody, nobody)
    context = place.folder / "label"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    user = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KRUNNER", "XDG"))}
    for words in ([BIN / "executor", f"--context={context}", "--no-push"], [BIN / "krunner", "prune", "--all"]):
        subprocess.run([*user, *words], env={**environment, "HOME": str(home)}, check=True, timeout=60)
    assert (home / ".cache" / "krunner" / "blobs").is_dir()


def test_a_base_is_fetched_once_for_a_list_and_for_later_sessions(place: Place) -> None:
    """Three images at once wait for whoever began; a build of another session has all that it needs."""
    names = ("one", "two", "three")
    for name in names:
        (place.folder / name).mkdir()
        (place.folder / name / "Dockerfile").write_text(
            f'FROM {place.host}/base\nRUN ["busybox", "touch", "/{name}"]\n'
        )
    place.registry.faults.append(Fault(path="/base/blobs/", method="GET", times=3, delay=1.0))
    builds = [{"name": name, "context": name, "oci_layout": f"list-{name}"} for name in names]
    document = {"version": 1, "defaults": {"insecure": True, "rootfs": "overlay"}, "builds": builds}
    (place.folder / "builds.yaml").write_text(json.dumps(document))
    place.registry.requests.clear()
    place.done(place.krunner(f"{place.folder}/builds.yaml", "--jobs=3", "--report-dir="))
    manifest = json.loads(place.registry.manifests["base"]["latest"][1])
    layers = [entry["digest"] for entry in manifest["layers"]]
    fetched = [seen.path.rpartition("/")[2] for seen in place.registry.seen("GET", "/blobs/")]
    assert sorted(digest for digest in fetched if digest in layers) == sorted(layers)
    place.registry.requests.clear()
    place.done(place.argv("one", "later"))
    fetched = [seen.path.rpartition("/")[2] for seen in place.registry.seen("GET", "/blobs/")]
    assert not set(layers) & set(fetched)
    for name in names:
        assert f"/{name}" in flatten(read_layout(place.folder / f"list-{name}"))


def test_what_builds_leave_is_found_whole(place: Place) -> None:
    """Layers that were unpacked, and those that a RUN made, are compared with their seals and stay."""
    (place.folder / "base" / "Dockerfile").write_text(
        f'FROM {place.host}/base\nRUN {RUN}\nRUN ["busybox", "rm", "/made", "/bin/sh"]\n'
        f'COPY --from={place.host}/other /other /copied\nRUN ["busybox", "true"]\n'
    )
    unpacked = place.folder / "home" / "unpacked"
    first: dict[str, int] = {}
    for turn in range(3):
        place.done(place.argv("base", f"turn-{turn}"))
        found = {path.name: path.stat().st_ino for path in unpacked.iterdir() if path.is_dir()}
        first = first or found
        assert found.items() >= first.items(), "none of the first build's was made anew"
        for path in unpacked.glob("*.seal"):
            os.utime(path, (1, 1))
