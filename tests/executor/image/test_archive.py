"""Archives: what `docker load` and skopeo look for, same bytes for the same image, nothing half-written."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from executor.errors import ImageError
from executor.image.archive import write_archive
from executor.image.digest import Digest
from executor.image.layout import read_layout
from executor.image.reference import Reference
from tests.support.images import SmallImage, small_image

TAGS = [Reference.parse("busybox:1"), Reference.parse("host:5000/team/app:2@sha256:" + "0" * 64)]


def write(path: Path, image: SmallImage, tags: list[Reference] | None = None) -> None:
    write_archive(str(path), image.manifest.to_bytes(), image.open, tags=TAGS if tags is None else tags)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        files = [member for member in tar if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in files}  # type: ignore[union-attr]


def test_docker_finds_config_layers_and_tags(tmp_path: Path) -> None:
    image = small_image()
    write(tmp_path / "image.tar", image)
    files = members(tmp_path / "image.tar")
    (entry,) = json.loads(files["manifest.json"])
    assert entry["RepoTags"] == ["busybox:1", "host:5000/team/app:2"]
    assert files[entry["Config"]] == image.config
    assert [Digest.of(files[name]) for name in entry["Layers"]] == [
        layer.digest for layer in image.manifest.layers
    ]


def test_it_is_an_oci_layout_too(tmp_path: Path) -> None:
    image = small_image()
    write(tmp_path / "image.tar", image)
    with tarfile.open(tmp_path / "image.tar") as tar:
        for member in tar:
            tar.extract(member, tmp_path / "out")
    layout = read_layout(str(tmp_path / "out"))
    assert [entry.digest for entry in layout.index.manifests] == [image.descriptor.digest] * 2
    assert layout.read(image.descriptor) == image.manifest.to_bytes()


def test_without_tags(tmp_path: Path) -> None:
    write(tmp_path / "image.tar", small_image(), [])
    files = members(tmp_path / "image.tar")
    assert json.loads(files["manifest.json"])[0]["RepoTags"] == []
    assert len(json.loads(files["index.json"])["manifests"]) == 1


def test_the_same_layer_twice_is_stored_once(tmp_path: Path) -> None:
    write(tmp_path / "image.tar", small_image((b"same", b"same")))
    with tarfile.open(tmp_path / "image.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert len(json.loads(members(tmp_path / "image.tar")["manifest.json"])[0]["Layers"]) == 2


def test_equal_images_give_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", small_image())
    write(tmp_path / "b.tar", small_image())
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


@pytest.mark.parametrize("replacement", [b"", b"x" * 5000])
def test_a_wrong_blob_keeps_the_old_file(tmp_path: Path, replacement: bytes) -> None:
    image = small_image()
    target = tmp_path / "image.tar"
    target.write_bytes(b"old")
    layer = image.manifest.layers[1].digest
    wrong = SmallImage(manifest=image.manifest, config=image.config, blobs={**image.blobs, layer: replacement})
    with pytest.raises(ImageError, match=layer):
        write(target, wrong)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["image.tar"]


def test_an_index_is_refused(tmp_path: Path) -> None:
    content = b'{"schemaVersion": 2, "manifests": []}'
    with pytest.raises(ImageError, match="one image"):
        write_archive(str(tmp_path / "image.tar"), content, small_image().open)


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "missing" / "image.tar", small_image())
