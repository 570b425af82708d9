"""Caches and images in folders that are written again and again: what nobody needs goes, the rest is whole."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from integration.cache.test_layer_cache import Builds, builds
from integration.support.builders import BIN
from integration.support.flatten import flatten
from integration.support.programs import run

__all__ = ["builds"]

pytestmark = pytest.mark.parametrize("executor", ["overlay"], indirect=True)
TEXT = "FROM registry.test/busybox\nCOPY main /main\nRUN head -c 2000000 /dev/urandom > /copy\n"
_DAY = 86400


def age(folder: Path, seconds: float) -> None:
    """As if nothing in the folder had been used for that long."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_a_cache_of_changing_builds_keeps_its_size(builds: Builds, kind: str) -> None:
    cache = builds.folder / "cache"
    for number in range(4):
        builds.cached(
            TEXT + f"RUN echo {number} && head -c 1000000 /dev/urandom > /n\n",
            f"{kind}:{cache}",
            "--cache-size=4MB",
        )
        age(cache, 2 * 3600)
    assert size(cache) < 5_500_000, "three megabytes more while they are young"
    builds.cached(
        TEXT + "RUN echo 3 && head -c 1000000 /dev/urandom > /n\n", f"{kind}:{cache}", "--cache-size=4MB"
    )
    assert builds.hits == [True] * 3, "what was used last is there"
    assert builds.warnings == []


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_what_nobody_has_used_for_two_weeks_goes_with_the_next_build(builds: Builds, kind: str) -> None:
    cache = builds.folder / "cache"
    builds.cached(TEXT, f"{kind}:{cache}")
    age(cache, 15 * _DAY)
    builds.cached("FROM registry.test/busybox\nRUN echo new > /new\n", f"{kind}:{cache}")
    assert size(cache) < 100_000
    builds.cached(TEXT, f"{kind}:{cache}")
    assert builds.hits == [False] * 2
    assert builds.warnings == []


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_krunner_prune(builds: Builds, kind: str) -> None:
    cache = builds.folder / "cache"
    first = builds.cached(TEXT, f"{kind}:{cache}")
    argv = [BIN / "krunner", "prune", f"--cache={kind}:{cache}", "--all", "--json"]
    assert json.loads(run(argv))["removed"] == {}, "it was used just now"
    age(cache, 2 * 3600)
    assert json.loads(run([*argv, "--dry-run"]))["removed"] == {"cached layer": 2}
    second = builds.cached(TEXT, f"{kind}:{cache}")
    assert builds.hits == [True] * 2
    assert flatten(first) == flatten(second)
    age(cache, 2 * 3600)
    assert json.loads(run(argv))["left"] == 0
    assert size(cache) < 1000


def test_a_layout_that_an_image_is_written_to_again_and_again(builds: Builds) -> None:
    """Beside another image, which stays whole."""
    layout, file = builds.folder / "out", builds.folder / "Dockerfile"
    for number, name in enumerate(["other", *["app"] * 5]):
        text = TEXT + f"RUN echo {number} > /number\n"
        file.write_text(text.replace("registry.test", builds.executor.registry))
        outputs = (f"--destination=registry.test/{name}:1", "--no-push", f"--oci-layout-path={layout}")
        builds.executor.run(f"--context={builds.context}", f"--dockerfile={file}", *outputs)
        age(layout, 2 * 3600)
    assert size(layout) < 8_000_000, "the base, two images of today and one that was replaced last"
    for name in ("other", "app"):
        run(["skopeo", "copy", f"oci:{layout}:registry.test/{name}:1" if name == "app" else f"oci:{layout}:1",
             f"dir:{builds.folder}/{name}"])  # fmt: skip
