"""OCI layouts: written, added to, read back, and damaged ones refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from executor.errors import ImageError
from executor.image.descriptor import Descriptor
from executor.image.layout import (
    IMAGE_NAME,
    REF_NAME,
    blob_path,
    blobs_of,
    read_layout,
    remove_unreferenced,
    write_layout,
)
from executor.image.manifest import Manifest, parse_manifest
from executor.image.verified import LARGEST_DOCUMENT
from tests.support.images import SmallImage, small_image


def add(path: Path, image: SmallImage, name: str = "") -> None:
    write_layout(str(path), image.descriptor, image.manifest.to_bytes(), image.open, name=name)


def names(path: Path) -> list[tuple[str, str]]:
    index = read_layout(str(path)).index
    return [(e.annotations.get(REF_NAME, ""), e.annotations.get(IMAGE_NAME, "")) for e in index.manifests]


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    image = small_image()
    add(tmp_path / "deep" / "layout", image, "registry.example.com/team/app:1")
    layout = read_layout(str(tmp_path / "deep" / "layout"))
    found = layout.find("1")
    assert found is not None
    assert layout.find("registry.example.com/team/app:1") == found
    assert layout.find("2") is None
    manifest = parse_manifest(layout.read(found), found.media_type)
    assert isinstance(manifest, Manifest)
    assert manifest == image.manifest
    for descriptor in (manifest.config, *manifest.layers):
        assert layout.read(descriptor) == image.blobs[descriptor.digest]
    assert json.loads((tmp_path / "deep" / "layout" / "oci-layout").read_bytes()) == {
        "imageLayoutVersion": "1.0.0"
    }


def test_nothing_but_the_layout_is_left(tmp_path: Path) -> None:
    image = small_image((b"same", b"same"))
    add(tmp_path, image, "app:1")
    expected = {"oci-layout", "index.json", "blobs"}
    assert set(os.listdir(tmp_path)) == expected
    digests = {image.descriptor.digest.hex, *(digest.hex for digest in image.blobs)}
    assert set(os.listdir(tmp_path / "blobs" / "sha256")) == digests


def test_an_image_of_the_same_name_gives_way_and_others_stay(tmp_path: Path) -> None:
    add(tmp_path, small_image((b"1",)), "app:1")
    add(tmp_path, small_image((b"2",)), "app:2")
    add(tmp_path, small_image((b"3",)), "app:1")
    assert names(tmp_path) == [("2", "docker.io/library/app:2"), ("1", "docker.io/library/app:1")]
    found = read_layout(str(tmp_path)).find("1")
    assert found is not None
    assert found.digest == small_image((b"3",)).descriptor.digest


def test_a_tag_of_another_repository_is_written_in_full(tmp_path: Path) -> None:
    add(tmp_path, small_image((b"1",)), "a:1")
    for content in (b"2", b"3"):
        add(tmp_path, small_image((content,)), "b:1")
    full = "docker.io/library/b:1"
    assert names(tmp_path) == [("1", "docker.io/library/a:1"), (full, full)]


def test_a_short_name_alone_gives_way(tmp_path: Path) -> None:
    add(tmp_path, small_image((b"1",)), "app:1")
    index = json.loads((tmp_path / "index.json").read_bytes())
    index["manifests"][0]["annotations"] = {REF_NAME: "1"}
    (tmp_path / "index.json").write_text(json.dumps(index))
    add(tmp_path, small_image((b"2",)), "app:1")
    assert names(tmp_path) == [("1", "docker.io/library/app:1")]


def test_an_image_without_a_name_gives_way_to_the_next(tmp_path: Path) -> None:
    add(tmp_path, small_image((b"0",)), "app:1")
    for content in (b"1", b"1", b"2"):
        add(tmp_path, small_image((content,)))
    _, unnamed = read_layout(tmp_path.as_posix()).index.manifests
    assert unnamed.digest == small_image((b"2",)).descriptor.digest
    assert [tag for tag, _ in names(tmp_path)] == ["1", ""]


@pytest.mark.parametrize("replacement", [b"", b"short", b"x" * 5000])
def test_a_wrong_blob_is_refused_and_leaves_no_index(tmp_path: Path, replacement: bytes) -> None:
    image = small_image()
    layer = image.manifest.layers[1].digest
    wrong = SmallImage(manifest=image.manifest, config=image.config, blobs={**image.blobs, layer: replacement})
    with pytest.raises(ImageError, match=layer):
        add(tmp_path, wrong, "app:1")
    assert not (tmp_path / "index.json").exists()
    assert all(len(name) == 64 for name in os.listdir(tmp_path / "blobs" / "sha256"))


def test_a_pipe_in_place_of_a_blob_is_not_waited_for(tmp_path: Path) -> None:
    image = small_image()
    add(tmp_path, image)
    layer = image.manifest.layers[0]
    path = blob_path(str(tmp_path), layer)
    os.unlink(path)
    os.mkfifo(path)
    with pytest.raises(ImageError, match="not a regular file"):
        read_layout(str(tmp_path)).open(layer)


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_nor_is_one_in_place_of_the_index(tmp_path: Path, name: str) -> None:
    add(tmp_path, small_image())
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(ImageError, match="not a regular file"):
        read_layout(str(tmp_path))


def test_damage_is_found_when_read(tmp_path: Path) -> None:
    image = small_image()
    add(tmp_path, image)
    layer = image.manifest.layers[0]
    path = Path(blob_path(str(tmp_path), layer))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ImageError, match="damaged"):
        read_layout(str(tmp_path)).read(layer)
    path.unlink()
    with pytest.raises(ImageError, match="lacks blob"):
        read_layout(str(tmp_path)).open(layer)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("oci-layout", None, "is not an OCI layout"),
        ("oci-layout", "{", "cannot read"),
        ("oci-layout", "[]", "not a JSON object"),
        ("oci-layout", '{"imageLayoutVersion": "9"}', "unknown version '9'"),
        ("index.json", None, "has no index.json"),
        ("index.json", '{"schemaVersion": 2, "manifests": 3}', "malformed"),
        ("index.json", '{"manifests": [{"size": 1}]}', "malformed"),
    ],
)
def test_malformed_layouts_are_refused(tmp_path: Path, file: str, content: str | None, complaint: str) -> None:
    add(tmp_path, small_image())
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(ImageError, match=complaint):
        read_layout(str(tmp_path))


@pytest.mark.parametrize("file", ["oci-layout", "index.json"])
def test_what_is_too_large_is_not_read(tmp_path: Path, file: str) -> None:
    add(tmp_path, small_image())
    os.truncate(tmp_path / file, 2**40)  # more than there is memory
    with pytest.raises(ImageError, match="is larger than 32 MiB"):
        read_layout(str(tmp_path))


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    image = small_image()
    add(tmp_path, image)
    large = replace(image.manifest.config, size=LARGEST_DOCUMENT + 1)
    with pytest.raises(ImageError, match="too large for a manifest"):
        read_layout(str(tmp_path)).read(large)


def test_a_malformed_index_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("precious")
    with pytest.raises(ImageError, match="cannot read"):
        add(tmp_path, small_image())
    assert (tmp_path / "index.json").read_text() == "precious"


def test_processes_add_to_one_layout_at_once(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from tests.support.images import small_image\n"
        "from executor.image.layout import write_layout\n"
        "for number in range(8):\n"
        "    image = small_image((f'{sys.argv[2]} {number}'.encode(),))\n"
        "    write_layout(sys.argv[1], image.descriptor, image.manifest.to_bytes(), image.open,"
        " name=f'{sys.argv[2]}:{number}')\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in ("a", "b", "c")
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len({full for _, full in names(tmp_path)}) == 24


def test_a_nested_index_keeps_its_manifests(tmp_path: Path) -> None:
    inner = small_image()
    add(tmp_path, inner)
    content = json.dumps({"schemaVersion": 2, "manifests": [inner.descriptor.to_json()]}).encode()
    index = Descriptor.of("application/vnd.oci.image.index.v1+json", content)
    write_layout(
        str(tmp_path),
        index,
        content,
        SmallImage(
            manifest=inner.manifest, config=b"", blobs={inner.descriptor.digest: inner.manifest.to_bytes()}
        ).open,
        name="multi:1",
    )
    layout = read_layout(str(tmp_path))
    assert layout.find("1") is not None
    assert layout.read(index) == content


def hashes(path: Path) -> set[str]:
    return {file.name for file in (path / "blobs" / "sha256").iterdir()}


def age(path: Path) -> None:
    for file in (path / "blobs" / "sha256").iterdir():
        os.utime(file, (1_000_000, 1_000_000))


def needed(path: Path) -> set[str]:
    layout = read_layout(str(path))
    return {blob.digest.hex for image in layout.index.manifests for blob in blobs_of(layout, image)}


def test_it_is_told_whether_an_image_gave_way(tmp_path: Path) -> None:
    first, second = small_image(), small_image(layers=(b"two", b"three"))
    told = []
    for image, name in ((first, "a/b:1"), (second, "a/b:2"), (second, "a/b:1"), (second, "a/b:1"), (first, "")):
        told.append(
            write_layout(str(tmp_path), image.descriptor, image.manifest.to_bytes(), image.open, name=name)
        )
    assert told == [False, False, True, True, False]


def test_what_no_image_has_goes_when_it_is_old(tmp_path: Path) -> None:
    add(tmp_path, small_image(layers=(b"shared", b"old")), "a/b:1")
    add(tmp_path, small_image(layers=(b"shared", b"other")), "a/b:2")
    age(tmp_path)
    add(tmp_path, small_image(layers=(b"shared", b"new")), "a/b:1")
    half = tmp_path / "blobs" / "sha256" / f"{'0' * 64}.12-ab"
    half.write_bytes(b"half")
    before = hashes(tmp_path)
    remove_unreferenced(str(tmp_path))
    assert hashes(tmp_path) == needed(tmp_path) | {half.name}
    assert len(before - hashes(tmp_path)) == 3, "manifest, configuration and a layer"


def test_a_blob_that_is_needed_again_is_as_good_as_new(tmp_path: Path) -> None:
    """Another image has it when it is written, before that image is in the index."""
    image, other = small_image(layers=(b"shared", b"a")), small_image(layers=(b"shared", b"b"))
    add(tmp_path, image, "a/b:1")
    age(tmp_path)
    add(tmp_path, other, "a/b:1")
    add(tmp_path, small_image(layers=(b"c",)), "a/b:1")
    remove_unreferenced(str(tmp_path))
    shared = image.manifest.layers[0].digest.hex
    assert shared in hashes(tmp_path)
    assert image.manifest.layers[1].digest.hex not in hashes(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "changed", "large"])
def test_while_an_image_cannot_be_read_nothing_goes(tmp_path: Path, damage: str) -> None:
    image = small_image()
    add(tmp_path, image, "a/b:1")
    add(tmp_path, small_image(layers=(b"other",)), "a/b:2")
    add(tmp_path, small_image(layers=(b"new",)), "a/b:2")
    age(tmp_path)
    manifest = Path(blob_path(str(tmp_path), image.descriptor))
    if damage == "missing":
        manifest.unlink()
    elif damage == "changed":
        manifest.write_bytes(manifest.read_bytes()[:-1] + b"!")
    else:  # an index whose entries are layers, as those of BuildKit's local cache
        index = json.loads((tmp_path / "index.json").read_bytes())
        layers = {"manifests": [{**image.manifest.layers[0].to_json(), "size": 1 << 30}]}
        content = json.dumps({"schemaVersion": 2, "mediaType": index["mediaType"], **layers}).encode()
        found = Descriptor.of(index["mediaType"], content)
        Path(blob_path(str(tmp_path), found)).write_bytes(content)
        (tmp_path / "index.json").write_text(json.dumps({**index, "manifests": [found.to_json()]}))
    before = hashes(tmp_path)
    with pytest.raises(ImageError, match="too large" if damage == "large" else "blob"):
        remove_unreferenced(str(tmp_path))
    assert hashes(tmp_path) == before
