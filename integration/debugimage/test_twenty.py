"""Twenty images in one container that may mount nothing, and the same twenty where overlayfs may be mounted."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from integration.debugimage import twenty
from integration.debugimage.twenty import IMAGES, Session
from integration.support import bases
from integration.support.builders import BIN, Docker
from integration.support.compare import compare_configs, compare_trees
from integration.support.flatten import flatten
from integration.support.gate import serve_gate
from integration.support.images import StoredImage
from integration.support.outside import differences
from integration.support.registries import RegistryServer

_ENDS = {image.name: image.ends for image in IMAGES}


@pytest.fixture(scope="module")
def host(debian_host: str, base_host: str, registry: RegistryServer) -> str:
    """The registry with all bases."""
    bases.push_archive(bases.toolbox_archive(), registry.host)
    assert debian_host == base_host
    return base_host


@pytest.fixture(scope="module")
def in_place(krunner_images: Docker, work: Path, host: str) -> Session:
    """The list in a container that may mount nothing."""
    return twenty.build_in_place(krunner_images, work / "twenty" / "in-place", host)


@pytest.fixture(scope="module")
def overlay(work: Path, host: str) -> Session:
    """The list by overlayfs, on this machine."""
    workspace = work / "twenty" / "overlay"
    workspace.mkdir(parents=True)
    with serve_gate(lambda _name: None) as gate:
        twenty.lay_out(workspace / "list", {"base": host, "push": gate, "gate": gate})
        words = [BIN / "krunner", "--rootfs=overlay", f"--home={work / 'home-twenty'}", "list/builds.yaml"]
        done = subprocess.run(
            words, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    return Session(status=done.returncode, output=done.stdout, folder=workspace / "list")


def test_each_image_ends_as_it_is_meant_to(in_place: Session) -> None:
    assert in_place.ends == _ENDS, in_place.output
    assert in_place.status == 1


@pytest.mark.parametrize("position", range(len(IMAGES)), ids=[image.name for image in IMAGES])
def test_the_root_is_as_it_was_after(in_place: Session, position: int) -> None:
    following = IMAGES[position + 1].name if position + 1 < len(IMAGES) else None
    now, before = in_place.before[following] if following else in_place.after, in_place.before[""]
    assert differences(now, before) == {}


def test_overlay_ends_the_same(overlay: Session) -> None:
    assert overlay.ends == _ENDS, overlay.output
    assert overlay.status == 1


@pytest.mark.parametrize("name", [image.name for image in IMAGES if image.ends != "failed"])
def test_overlay_makes_the_same(in_place: Session, overlay: Session, name: str) -> None:
    ours, theirs = without_common_layers(in_place.image(name), overlay.image(name))
    found = [*compare_trees(flatten(ours), flatten(theirs)), *compare_configs(ours.config, theirs.config)]
    assert not [str(one) for one in found]
    assert root_entries(ours) == root_entries(theirs)


def without_common_layers(one: StoredImage, other: StoredImage) -> tuple[StoredImage, StoredImage]:
    """Two images without the lowest layers, as long as these are the same."""
    common = 0
    while common < min(len(one.layers), len(other.layers)) and one.layers[common] == other.layers[common]:
        common += 1
    return replace(one, layers=one.layers[common:]), replace(other, layers=other.layers[common:])


def root_entries(image: StoredImage) -> list[list[tuple[int, int, int]]]:
    """What each layer says of `/` itself."""
    found = []
    for number in range(len(image.layers)):
        with image.open_layer(number) as archive:
            roots = [member for member in archive if member.name.strip("./") == ""]
            found.append([(member.mode, member.uid, member.gid) for member in roots])
    return found
