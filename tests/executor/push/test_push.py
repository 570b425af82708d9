"""`executor push`: images that lie on disk, sent as they are; what is missing, damaged or not named is told."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from executor.cli import main
from executor.dataclass import replace
from executor.image import mediatypes
from executor.image.archive import write_archive
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layout import blob_path, index_bytes, write_layout
from executor.image.manifest import Index, Manifest, parse_manifest
from executor.image.reference import Reference
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import SmallImage, small_image


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as server:
        yield server


@pytest.fixture(autouse=True)
def no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def push(registry: FakeRegistry, *words: str | Path, to: tuple[str, ...] = ("team/app:1",)) -> int:
    destinations = [f"--destination={registry.host}/{name}" for name in to]
    try:
        main(["push", "--insecure", *map(str, words), *destinations])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def layout_with(path: Path, *images: tuple[SmallImage, str]) -> Path:
    for image, name in images:
        write_layout(str(path), image.descriptor, image.manifest.to_bytes(), image.open, name=name)
    return path


def archive_with(path: Path, image: SmallImage) -> Path:
    tags = [Reference.parse("r.example/app:1")]
    write_archive(str(path), image.manifest.to_bytes(), image.open, tags=tags)
    return path


def docker_archive(path: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


def old_docker_save(
    path: Path, image: SmallImage, *, tags: tuple[str, ...] = ("app:1",), zipped: bool = False
) -> Path:
    """As docker before version 25 writes it, or (`zipped`) kaniko; equal layers are links."""
    layers = [image.blobs[layer.digest] for layer in image.manifest.layers]
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    files = {name: layer if zipped else gzip.decompress(layer) for name, layer in zip(names, layers, strict=True)}
    files |= {"c.json": image.config}
    files["manifest.json"] = json.dumps(
        [{"Config": "c.json", "RepoTags": list(tags), "Layers": [*names[:-1], "last/layer.tar"]}]
    ).encode()
    return docker_archive(path, files, {"last/layer.tar": f"../{names[-1]}"})


def held(registry: FakeRegistry, repository: str, tag: str) -> bytes:
    return registry.manifests[repository][tag][1]


@pytest.mark.parametrize("kind", ["layout", "archive"])
def test_an_image_is_pushed_as_it_is(registry: FakeRegistry, tmp_path: Path, kind: str) -> None:
    image = small_image()
    if kind == "layout":
        words = [f"--oci-layout-path={layout_with(tmp_path / 'layout', (image, ''))}"]
    else:
        words = [f"--tar-path={archive_with(tmp_path / 'image.tar', image)}"]
    files = {
        f"--{name}-file={tmp_path / name}": text
        for name, text in (
            ("digest", image.descriptor.digest),
            ("image-name-with-digest", f"{registry.host}/team/app@{image.descriptor.digest}\n"),
            ("image-name-tag-with-digest", f"{registry.host}/team/app:1@{image.descriptor.digest}\n"),
        )
    }
    assert push(registry, *words, *files) == 0
    assert registry.manifests["team/app"]["1"] == (mediatypes.OCI_MANIFEST, image.manifest.to_bytes())
    assert registry.blobs["team/app"] == image.blobs
    assert {flag: Path(flag.partition("=")[2]).read_text() for flag in files} == files


def test_every_destination_is_tried_and_told_of(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = layout_with(tmp_path / "layout", (small_image(), ""))
    registry.faults.append(Fault(method="PUT", path="/b/manifests", status=403, times=9))
    digest_file = tmp_path / "digest"
    words = (f"--oci-layout-path={layout}", f"--digest-file={digest_file}")
    assert push(registry, *words, to=("a:1", "b:1", "c:1")) == 3
    assert {name for name, tags in registry.manifests.items() if "1" in tags} == {"a", "c"}
    said = capsys.readouterr().err
    assert f"Pushed {registry.host}/a:1@" in said
    assert f"push to {registry.host}/b:1 failed" in said
    assert "1 of 3 pushes failed" in said
    assert "built, but" not in said
    assert not digest_file.exists()


def test_what_helps_with_all_destinations_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = layout_with(tmp_path / "layout", (small_image(), ""))
    with FakeRegistry(auth="basic") as locked:
        assert push(locked, f"--oci-layout-path={layout}", to=("a:1", "b:1")) == 3
        assert capsys.readouterr().err.count(f"`executor login {locked.host}`") == 1


def test_blobs_that_are_there_are_not_sent(registry: FakeRegistry, tmp_path: Path) -> None:
    words = [f"--oci-layout-path={layout_with(tmp_path / 'layout', (small_image(), ''))}"]
    assert push(registry, *words) == 0
    registry.requests.clear()
    assert push(registry, *words, to=("team/app:2",)) == 0
    assert not registry.seen("POST")
    assert [request.path for request in registry.seen("PUT")] == ["/v2/team/app/manifests/2"]
    assert push(registry, *words, to=("other:1",)) == 0  # mounts need to know a repository, so it is sent
    assert registry.seen("POST", "/other/")


def test_a_push_is_tried_again_as_often_as_it_says(registry: FakeRegistry, tmp_path: Path) -> None:
    words = [f"--oci-layout-path={layout_with(tmp_path / 'layout', (small_image(), ''))}"]
    registry.faults.append(Fault(method="PUT", path="/manifests/", status=503))
    assert push(registry, *words) == 75
    registry.faults.append(Fault(method="PUT", path="/manifests/", status=503))
    assert push(registry, *words, "--push-retry=1") == 0


def test_an_index_goes_as_a_whole(registry: FakeRegistry, tmp_path: Path) -> None:
    images = [small_image(platform="linux/amd64"), small_image([b"arm"], platform="linux/arm64")]
    blobs = {digest: content for image in images for digest, content in image.blobs.items()}
    manifests = {image.descriptor.digest: image.manifest.to_bytes() for image in images}
    index = index_bytes(Index(manifests=tuple(image.descriptor for image in images)))
    root = Descriptor.of(mediatypes.OCI_INDEX, index)
    open_blob = lambda descriptor: io.BytesIO((blobs | manifests)[descriptor.digest])  # noqa: E731
    write_layout(str(tmp_path / "layout"), root, index, open_blob, name="r.example/app:1")
    assert push(registry, f"--oci-layout-path={tmp_path / 'layout'}:1") == 0
    assert held(registry, "team/app", "1") == index
    assert {digest: held(registry, "team/app", digest) for digest in manifests} == manifests
    assert registry.blobs["team/app"] == blobs

    digest = images[1].descriptor.digest  # one platform, by its digest
    assert push(registry, f"--oci-layout-path={tmp_path / 'layout'}@{digest}", to=("arm:1",)) == 0
    assert held(registry, "arm", "1") == manifests[digest]
    Path(blob_path(str(tmp_path / "layout"), images[0].descriptor)).unlink()
    assert push(registry, f"--oci-layout-path={tmp_path / 'layout'}", to=("part:1",)) == 1
    assert not registry.manifests["part"]


def test_indexes_within_indexes_without_end(registry: FakeRegistry, tmp_path: Path) -> None:
    layout = layout_with(tmp_path / "layout", (small_image(), ""))
    entry = small_image().descriptor
    for _ in range(2000):
        content = index_bytes(Index(manifests=(entry,)))
        entry = Descriptor.of(mediatypes.OCI_INDEX, content)
        Path(blob_path(str(layout), entry)).write_bytes(content)
    (layout / "index.json").write_bytes(index_bytes(Index(manifests=(entry,))))
    assert push(registry, f"--oci-layout-path={layout}") == 1
    assert not registry.requests


def test_several_images_are_told_apart_by_name_tag_and_digest(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = small_image([b"1"]), small_image([b"2"]), small_image([b"3"])
    layout = layout_with(
        tmp_path / "a:b", (one, "r.example/app:1"), (two, "r.example/app:2"), (three, ""), (one, "app:3")
    )
    assert push(registry, f"--oci-layout-path={layout}") == 2
    said = capsys.readouterr().err
    assert f"{layout} has 3 images" in said
    assert f"{layout}:r.example/app:2" in said
    assert f"{layout}@{three.descriptor.digest}" in said
    for words, image in (
        (":1", one), (":3", one), (":app:3", one), (":docker.io/library/app:3", one), (":2", two),
        (":r.example/app:2", two), (f"@{three.descriptor.digest}", three),
    ):  # fmt: skip
        assert push(registry, f"--oci-layout-path={layout}{words}") == 0
        assert held(registry, "team/app", "1") == image.manifest.to_bytes()
    assert push(registry, f"--oci-layout-path={layout}:9") == 1
    assert "has no image 9" in capsys.readouterr().err


@pytest.mark.parametrize("zipped", [False, True])
def test_archives_of_dockers_own_form(registry: FakeRegistry, tmp_path: Path, zipped: bool) -> None:
    image = small_image([b"one", b"two" * 200_000])
    archive = old_docker_save(tmp_path / "save.tar", image, tags=("app:1", "r.example/app:2"), zipped=zipped)
    for wanted in ("", ":1", ":app:1", ":2", ":r.example/app:2"):
        assert push(registry, f"--tar-path={archive}{wanted}") == 0
    manifest = parse_manifest(held(registry, "team/app", "1"))
    assert isinstance(manifest, Manifest)
    assert registry.blobs["team/app"][manifest.config.digest] == image.config
    layers = [registry.blobs["team/app"][layer.digest] for layer in manifest.layers]
    assert [Digest.of(gzip.decompress(layer)) for layer in layers] == json.loads(image.config)["rootfs"][
        "diff_ids"
    ]
    assert {layer.media_type for layer in manifest.layers} == {mediatypes.OCI_LAYER_GZIP}
    if zipped:
        assert manifest.layers == image.manifest.layers


def test_equal_layers_of_a_docker_archive(registry: FakeRegistry, tmp_path: Path) -> None:
    image = small_image([b"empty", b"empty", b"files"])
    archive = old_docker_save(tmp_path / "save.tar", image)
    assert push(registry, f"--tar-path={archive}") == 0
    manifest = parse_manifest(held(registry, "team/app", "1"))
    assert isinstance(manifest, Manifest)
    layers = [gzip.decompress(registry.blobs["team/app"][layer.digest]) for layer in manifest.layers]
    assert [Digest.of(layer) for layer in layers] == json.loads(image.config)["rootfs"]["diff_ids"]


def test_several_images_of_a_docker_archive(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [{"Config": "c", "RepoTags": [tag], "Layers": []} for tag in ("app:1", "app:2")]
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": []}}).encode()
    archive = docker_archive(tmp_path / "save.tar", {"manifest.json": json.dumps(entries).encode(), "c": config})
    assert push(registry, f"--tar-path={archive}") == 2
    assert f"name one: {archive}:app:1, {archive}:app:2" in capsys.readouterr().err
    assert push(registry, f"--tar-path={archive}:2") == 0


@pytest.mark.parametrize("kind", ["flipped", "shorter", "longer", "missing"])
@pytest.mark.parametrize("part", ["layer", "config", "manifest"])
def test_damage_is_found_and_nothing_is_tagged(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, part: str
) -> None:
    image = small_image()
    layout = layout_with(tmp_path / "layout", (image, ""))
    descriptor = {"layer": image.manifest.layers[1], "config": image.manifest.config, "manifest": image.descriptor}
    path = Path(blob_path(str(layout), descriptor[part]))
    content = path.read_bytes()
    if kind == "missing":
        path.unlink()
    else:
        changed = {
            "flipped": bytes([content[0] ^ 1]) + content[1:],
            "shorter": content[:-1],
            "longer": content + b"x",
        }
        path.write_bytes(changed[kind])
    status = push(registry, f"--oci-layout-path={layout}", to=("a:1", "b:1"))
    said = capsys.readouterr().err
    assert status == 1
    assert descriptor[part].digest in said
    assert "hint: what is on disk is not whole" in said
    assert not registry.manifests["a"]


def test_damage_is_found_before_a_blob_is_sent_whole(registry: FakeRegistry, tmp_path: Path) -> None:
    """Also where its end is the end of a read, so that nobody reads on."""
    layer = bytes(1024 * 1024)
    image = small_image()
    descriptor = Descriptor.of(mediatypes.OCI_LAYER, layer)
    manifest = replace(image.manifest, layers=(descriptor,))
    whole = SmallImage(manifest=manifest, config=image.config, blobs={**image.blobs, descriptor.digest: layer})
    layout = layout_with(tmp_path / "layout", (whole, ""))
    Path(blob_path(str(layout), descriptor)).write_bytes(layer[:-1] + b"x")
    assert push(registry, f"--oci-layout-path={layout}") == 1
    assert descriptor.digest not in registry.blobs["team/app"]
    assert not registry.manifests["team/app"]


def test_a_damaged_layer_of_a_docker_archive(
    registry: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = old_docker_save(tmp_path / "save.tar", small_image([b"hidden word", b"two"]))
    archive.write_bytes(archive.read_bytes().replace(b"hidden word", b"another one"))
    assert push(registry, f"--tar-path={archive}") == 1
    assert "0/layer.tar" in capsys.readouterr().err
    assert not registry.requests


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--oci-layout-path=nowhere:1"], 2, "there is no OCI layout nowhere:1"),
        (["--tar-path=nowhere.tar"], 2, "there is no archive nowhere.tar"),
        (["--oci-layout-path=empty"], 1, "empty is not an OCI layout"),
        (["--oci-layout-path=text"], 2, "--tar-path"),
        (["--tar-path=empty"], 2, "--oci-layout-path"),
        (["--tar-path=text"], 1, "text is not a whole tar archive"),
        (["--tar-path=pipe"], 2, "pipe is no file that can be read"),
        (["--tar-path=zipped"], 1, "gunzip"),
        (["--tar-path=other.tar"], 1, "it has neither index.json nor manifest.json"),
        ([], 2, "neither --oci-layout-path nor --tar-path"),
        (["--oci-layout-path=empty", "--tar-path=text"], 2, "both --oci-layout-path and --tar-path"),
        (["--tar-path=text", "image"], 2, "unexpected extra argument"),
    ],
)
def test_what_is_no_image_is_refused(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], status: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("x" * 2000)
    (tmp_path / "zipped").write_bytes(gzip.compress(archive_with(tmp_path / "a.tar", small_image()).read_bytes()))
    docker_archive(tmp_path / "other.tar", {"README": b"hello"})
    assert push(registry, *words) == status
    assert message in capsys.readouterr().err
    assert not registry.requests


def test_a_destination_has_to_be_named(registry: FakeRegistry, tmp_path: Path) -> None:
    layout = layout_with(tmp_path / "layout", (small_image(), ""))
    assert push(registry, f"--oci-layout-path={layout}", to=()) == 2


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": b"[{}]"},
        {"manifest.json": b"{"},
        {"manifest.json": b"[" * 100_000},
        {"manifest.json": b"[]"},
        {"manifest.json": b'[{"Config": "no", "Layers": []}]'},
        {"manifest.json": b'[{"Config": "c", "Layers": []}]', "c": b"[]"},
        {"manifest.json": b'[{"Config": "c", "Layers": ["x"]}]', "c": b'{"rootfs": {"diff_ids": []}}'},
        {"manifest.json": b'[{"Config": "c", "Layers": []}]', "c": b'{"rootfs": {"diff_ids": [1]}}'},
        {"index.json": b"[]"},
        {"index.json": b'{"manifests": []}' + b" " * 2**23},
        {"index.json": b'{"manifests": [{"digest": 1}]}'},
    ],
)
def test_malformed_archives_are_refused(registry: FakeRegistry, tmp_path: Path, files: dict[str, bytes]) -> None:
    archive = docker_archive(tmp_path / "a.tar", files, {"loop": "loop"})
    assert push(registry, f"--tar-path={archive}") == 1
    assert not registry.requests


def test_a_pushed_image_needs_no_store_and_leaves_nothing(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = old_docker_save(tmp_path / "save.tar", small_image())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("KRUNNER_HOME", str(tmp_path / "home"))
    assert push(registry, f"--tar-path={archive}") == 0
    assert not list(scratch.iterdir())
    assert not (tmp_path / "home").exists()
