"""kaniko's flags for caches: what each does, and that none of them can spoil a build."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from integration.cache.test_layer_cache import Builds, builds
from integration.support.flatten import flatten
from integration.support.programs import run
from integration.support.registries import RegistryServer
from tests.support.fake_registry import FakeRegistry

__all__ = ["builds"]

pytestmark = pytest.mark.parametrize("executor", ["overlay"], indirect=True)
TEXT = "FROM registry.test/busybox\nCOPY main /main\nRUN cp /main /copy\nADD sub/data /data\nWORKDIR /here\n"


def entries(folder: Path) -> int:
    return len([path for path in folder.iterdir() if path.is_dir()]) if folder.exists() else 0


def test_which_instructions_are_cached(builds: Builds) -> None:
    for flags, count in (
        ((), 2),
        (("--cache-copy-layers",), 4),
        (("--cache-copy-layers", "--cache-run-layers=false"), 3),
        (("--cache-run-layers=false",), 1),
        (("--cache=false", "--cache-copy-layers"), 0),
    ):
        place = builds.folder / f"cache-{count}"
        builds(TEXT, "--cache", f"--cache-repo=dir:{place}", *flags)
        assert len(builds.hits) == entries(place) == count, flags


def test_nothing_is_written_with_no_push_cache(builds: Builds) -> None:
    with FakeRegistry() as registry:
        for place in (f"dir:{builds.folder}/cache", f"oci:{builds.folder}/cache", f"{registry.host}/cache"):
            builds.cached(TEXT, place, "--no-push-cache")
            assert builds.warnings == []
        assert not (builds.folder / "cache").exists()
        assert {seen.method for seen in registry.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("ttl", "fresh"), [("336h", True), ("1h30m", True), ("0.5h", True), ("0s", False), ("1us", False)]
)
def test_ages(builds: Builds, ttl: str, fresh: bool) -> None:
    place = f"oci:{builds.folder}/cache"
    builds.cached(TEXT, place)
    builds.cached(TEXT, place, f"--cache-ttl={ttl}")
    assert builds.hits == [fresh] * 4
    assert len(builds.warnings) == (0 if fresh else 4)


def test_the_cache_of_a_destination_is_below_its_repository(builds: Builds, registry: RegistryServer) -> None:
    name = f"{registry.host}/team/{builds.folder.name}"
    builds(TEXT, "--cache", f"--destination={name}:1")
    builds(TEXT, "--cache", f"--destination={name}:2")
    assert builds.hits == [True, True]
    key = builds.events("CacheLookedUp")[0]["key"]
    run(["skopeo", "inspect", "--tls-verify=false", f"docker://{name}/cache:{key}"])


def test_flags_without_an_effect_change_no_key(builds: Builds) -> None:
    place = f"dir:{builds.folder}/cache"
    builds.cached(TEXT, place)
    flags = ("--compressed-caching=false", "--skip-unused-stages", "--use-new-run", "--cleanup", "--push-retry=3")
    builds.cached(TEXT, place, *flags)
    assert builds.hits == [True] * 4
    builds.cached(TEXT, place, "--compression=zstd", "--compression-level=1", "--label=a=b")
    assert builds.hits == [True] * 4, "compression and labels change no files"


def test_a_read_only_folder_of_warmed_images(builds: Builds) -> None:
    """It serves; layers are cached elsewhere, without a word about it."""
    folder, place = builds.folder / "warm", f"dir:{builds.folder}/cache"
    folder.mkdir()
    with FakeRegistry() as registry:
        run(["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false",
             f"docker://{builds.executor.registry}/busybox", f"docker://{registry.host}/busybox"])  # fmt: skip
        warmer = "from executor.warmer.cli import main; main()"
        run(
            [
                sys.executable,
                "-c",
                warmer,
                f"--cache-dir={folder}",
                "--insecure",
                f"--image={registry.host}/busybox",
            ]
        )
        run(["mount", "--bind", "-o", "ro", folder, folder])
        try:
            registry.requests.clear()
            text = TEXT.replace("registry.test", registry.host)
            first = builds.cached(text, place, f"--cache-dir={folder}")
            assert builds.warnings == []
            assert registry.seen("GET", "/blobs/") == []
            second = builds.cached(text, place, f"--cache-dir={folder}")
            assert builds.hits == [True] * 4
        finally:
            run(["umount", folder])
    assert entries(folder / "layers") == 0
    assert entries(builds.folder / "cache") == 4
    assert flatten(first) == flatten(second)


def test_a_folder_of_warmed_images_that_can_be_written_has_layers_too(builds: Builds) -> None:
    flags = ("--cache", "--cache-copy-layers", f"--cache-dir={builds.folder}/warm")
    builds(TEXT, *flags)
    builds(TEXT, *flags)
    assert builds.hits == [True] * 4
    assert entries(builds.folder / "warm" / "layers") == 4
