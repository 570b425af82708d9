"""Images as projects have them, built by every driver as one list, compared with BuildKit's, and started."""

from __future__ import annotations

import fnmatch
import functools
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integration.differential.outcomes import BuiltImage, compare_outcomes
from integration.differential.subjects import DRIVERS
from integration.reallife.images import IMAGES, PACKAGES, Image
from integration.support import bases, container
from integration.support.builders import BIN, DOCKER, Docker
from integration.support.compare import Difference
from integration.support.flatten import Tree, flatten
from integration.support.images import read_docker_archive, read_layout
from integration.support.outside import differences, look_at
from integration.support.packages import fetched, serve_packages
from integration.support.programs import run
from integration.support.recipes import make_files

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]
_BASE_LAYERS = 1
_OWN_CONTENT = (
    *(
        "/etc/machine-id",
        "/etc/shadow*",
        "/etc/ssh/ssh_host_*",
        "/etc/ssl/*",
        "/usr/local/share/ca-certificates/*",
    ),
    *(
        "/var/cache/apt/*",
        "/var/cache/ldconfig/aux-cache",
        "/var/spool/cron/crontabs/*",
        "/var/lib/redis/dump.rdb",
        "/var/lib/dbus/machine-id",
        "/var/log/*",
    ),
    *("/var/lib/systemd/catalog/database", "/var/cache/man/*", "/etc/ld.so.cache"),
)
"""Files that no two builds make alike: keys, times, numbers of inodes."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """Where builds get packages from."""
    with serve_packages(fetched(PACKAGES)) as url:
        yield url


@pytest.fixture(scope="module")
def contexts(work: Path, proxy: str, debian_host: str) -> Path:
    """A folder with the contexts of all images, and a list of them."""
    folder = work / "reallife"
    folder.mkdir()
    builds = []
    for image in IMAGES:
        make_files(folder / image.name, {**image.context, "Dockerfile": image.dockerfile})
        builds.append({"name": image.name, "context": image.name, "oci_layout": f"out/{image.name}"})
    defaults = {
        "args": {"http_proxy": proxy, "no_proxy": "127.0.0.1"},
        "insecure": True,
        "registry_map": {"registry.test": [debian_host]},
    }
    document = {"version": 1, "defaults": defaults, "builds": builds}
    (folder / "builds.yaml").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def layouts(contexts: Path, work: Path, krunner_images: Docker) -> Mapping[str, Path]:
    """The folder of layouts that each driver made of the list; in place the container is as before."""
    made = {"overlay": _built(contexts, work, "overlay"), "chroot": _built(contexts, work, "chroot")}
    workspace = work / "reallife-in-place"
    subprocess.run(["cp", "--archive", contexts, workspace], check=True)
    with container.started(krunner_images, workspace) as box:
        before = look_at(box)
        words = [*box.argv("krunner", "builds.yaml")]
        _succeed(words, workspace)
        assert differences(look_at(box), before) == {}
    return {**made, "in-place": workspace / "out"}


def _built(contexts: Path, work: Path, driver: str) -> Path:
    folder = work / f"reallife-{driver}"
    subprocess.run(["cp", "--archive", contexts, folder], check=True)
    _succeed(
        [BIN / "krunner", f"--rootfs={driver}", f"--home={work}/home-reallife-{driver}", "builds.yaml"], folder
    )
    return folder / "out"


def _succeed(words: list[str | Path] | list[str], folder: Path) -> None:
    done = subprocess.run(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:]


@pytest.fixture(scope="module")
def expected(docker: Docker, contexts: Path, proxy: str) -> Mapping[str, BuiltImage]:
    """What BuildKit makes of each image."""
    docker.load(bases.debian_archive())

    def built(image: Image) -> tuple[str, BuiltImage]:
        words = ["build", "--quiet", "--network=host", f"--build-arg=http_proxy={proxy}", f"--tag={image.name}"]
        docker.run(*words, "--build-arg=no_proxy=127.0.0.1", contexts / image.name)
        made = docker.saved(image.name, above=_BASE_LAYERS)
        return image.name, BuiltImage(tree=flatten(made), config=made.config)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(built, IMAGES))


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
@pytest.mark.parametrize("driver", DRIVERS)
def test_trees_and_configurations_are_as_buildkit_makes_them(
    layouts: Mapping[str, Path], expected: Mapping[str, BuiltImage], image: Image, driver: str
) -> None:
    stored = read_layout(layouts[driver] / image.name, above=_BASE_LAYERS)
    tree, reference = flatten(stored), expected[image.name]
    ours = BuiltImage(tree=_beside(tree, reference.tree), config=stored.config)
    theirs = BuiltImage(tree=_beside(reference.tree, tree), config=reference.config)
    found = compare_outcomes(ours, theirs)
    assert not [str(one) for one in found if not _is_a_builds_own(one)]


@functools.cache
def _base() -> Tree:
    return flatten(read_docker_archive(bases.debian_archive()))


def _beside(tree: Tree, other: Tree) -> Tree:
    """The tree, and of the base what only the other one's layers have: written again as it was."""
    return {**{path: _base()[path] for path in other.keys() & _base().keys()}, **tree}


def _is_a_builds_own(difference: Difference) -> bool:
    if difference.place == "image:history":  # a step that changes nothing makes no layer: docs/decisions/0003
        return True
    kind, _, place = difference.place.partition(":")
    path, _, aspect = place.rpartition(":")
    if kind != "tree" or aspect not in ("sha256", "size", "link", "exists"):
        return False
    if aspect == "exists":  # a link whose name is a digest of a certificate
        return fnmatch.fnmatchcase(path, "/etc/ssl/certs/????????.0")
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in _OWN_CONTENT)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_what_was_made_in_place_works(docker: Docker, layouts: Mapping[str, Path], image: Image) -> None:
    archive = layouts["in-place"].parent / "image.tar"
    name = f"in-place/{image.name}:1"
    run(
        [
            "skopeo",
            "copy",
            "--quiet",
            f"oci:{layouts['in-place'] / image.name}",
            f"docker-archive:{archive}:{name}",
        ]
    )
    docker.load(archive)
    archive.unlink()
    words = [DOCKER, "--host", docker.host, "run", "--rm", "--network=none", name, *image.command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert image.says in done.stdout
