"""The registry client against Debian's docker-registry, and our layouts and archives against skopeo."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from executor.errors import AuthError, ImageError, NotFoundError, RegistryError
from executor.events import discard
from executor.image import mediatypes
from executor.image.archive import write_archive
from executor.image.descriptor import Descriptor
from executor.image.layout import write_layout
from executor.image.manifest import Manifest, parse_manifest
from executor.image.platform import Platform
from executor.image.reference import Reference
from executor.registry import uploads as uploading
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.hosts import Purpose
from executor.registry.pull import resolve
from executor.registry.push import (
    BlobUploads,
    PushBlob,
    PushDocument,
    PushSummary,
    check_push_permission,
    push_image,
)
from executor.spec import RegistryOptions
from executor.store import Store
from integration.support.builders import Docker
from integration.support.programs import run
from integration.support.registries import PASSWORD, USER, RegistryServer, make_tls, serve_registry
from integration.support.validate import validate_image
from tests.support.images import SmallImage, small_image

IMAGE = small_image((os.urandom(3_000_000), b"two", b"two"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with serve_registry(tmp_path_factory.mktemp("plain")) as server:
        yield server


def client(
    purpose: Purpose, *, options: RegistryOptions | None = None, keychain: Keychain | None = None
) -> RegistryClient:
    return RegistryClient(options or RegistryOptions(), keychain or Keychain(), discard, purpose)


def keychain(registry: str, password: str) -> Keychain:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return Keychain.from_environment({"DOCKER_AUTH_CONFIG": json.dumps({"auths": {registry: {"auth": auth}}})})


def push(pushing: RegistryClient, name: str, uploads: BlobUploads | None = None) -> PushSummary:
    manifest = IMAGE.manifest
    blobs = [
        PushBlob(descriptor=entry, source="", open=lambda entry=entry: IMAGE.open(entry))  # type: ignore[misc]
        for entry in (manifest.config, *manifest.layers)
    ]
    reference = Reference.parse(name)
    documents = [PushDocument(manifest.media_type, manifest.to_bytes())]
    return push_image(pushing, reference, documents, blobs, uploads=uploads)


def pull(pulling: RegistryClient, name: str) -> None:
    """Resolve `name` and check every byte of it."""
    reference = Reference.parse(name)
    found = resolve(pulling, reference, Platform("linux", "amd64"))
    manifest = parse_manifest(found.manifest_bytes)
    assert manifest == IMAGE.manifest
    assert isinstance(manifest, Manifest)
    validate_image(manifest, found.config_bytes, lambda entry: pulling.open_blob(reference.name, entry))


def test_there_and_back(plain: RegistryServer) -> None:
    with client("push") as pushing, client("pull") as pulling, BlobUploads(pushing) as uploads:
        check_push_permission(pushing, Reference.parse(f"{plain.host}/team/app:1"))
        first = push(pushing, f"{plain.host}/team/app:1", uploads)
        second = push(pushing, f"{plain.host}/team/other:1", uploads)
        again = push(pushing, f"{plain.host}/team/app:2")
        assert (first.sent, first.mounted, first.existing) == (3, 0, 0)
        assert (second.sent, second.mounted, second.existing) == (0, 3, 0)
        assert (again.sent, again.mounted, again.existing) == (0, 0, 3)
        for name in ("team/app:1", "team/app:2", "team/other:1"):
            pull(pulling, f"{plain.host}/{name}")
        reference = Reference.parse(f"{plain.host}/team/app:1")
        assert pulling.head_manifest(reference) == IMAGE.descriptor
        assert pulling.get_manifest(reference.with_digest(IMAGE.descriptor.digest)).descriptor == IMAGE.descriptor


def test_in_chunks(plain: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "_CHUNK", 700_000)
    content = os.urandom(3_000_001)
    descriptor = Descriptor.of(mediatypes.OCI_LAYER_GZIP, content)
    with client("push") as pushing:
        uploader = pushing._uploader(plain.host)
        uploader._ways = tuple(reversed(uploader._ways))
        pushing.upload_blob(f"{plain.host}/chunks", descriptor, lambda: io.BytesIO(content))
        assert uploader._ways[0] is uploading.send_in_chunks
        with client("pull") as pulling, pulling.open_blob(f"{plain.host}/chunks", descriptor) as stream:
            assert stream.read() == content


@pytest.mark.parametrize("password", [False, True])
@pytest.mark.parametrize("encrypted", [False, True])
def test_before_a_blob_is_whole(tmp_path: Path, password: bool, encrypted: bool) -> None:
    pieces = [os.urandom(1_000_000) for _ in range(5)]
    files = make_tls(tmp_path / "tls") if encrypted else None
    with (
        serve_registry(tmp_path / "registry", password=password, tls=files) as server,
        Store.open(str(tmp_path / "home")) as store,
    ):
        options = RegistryOptions(certificates={server.host: str(files.ca)} if files else {})
        chain = keychain(server.host, PASSWORD) if password else Keychain()
        with client("push", options=options, keychain=chain) as pushing, BlobUploads(pushing) as uploads:
            with store.blobs.writer() as writer:
                writer.write(pieces[0])
                uploads.begin_early(f"{server.host}/early", writer.growing())
                for piece in pieces[1:]:
                    writer.write(piece)
                descriptor = Descriptor(mediatypes.OCI_LAYER_GZIP, writer.commit(), writer.size)
            blob = PushBlob(descriptor=descriptor, source="", open=_not_opened)
            assert uploads.begin(f"{server.host}/early", blob).result(60) == "sent"
        assert server.blob(descriptor.digest).read_bytes() == b"".join(pieces)
        assert '"PATCH /v2/early/' in server.log.read_text()


def _not_opened() -> BinaryIO:
    raise AssertionError("it was to be sent a second time")


def test_wrong_bytes_are_refused_by_the_registry(plain: RegistryServer) -> None:
    descriptor = Descriptor.of("", b"right")
    with client("push") as pushing, pytest.raises(RegistryError, match="DIGEST_INVALID"):
        pushing.upload_blob(f"{plain.host}/wrong", descriptor, lambda: io.BytesIO(b"wrong"))


def test_a_blob_damaged_in_the_registry(tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry") as server, client("push") as pushing, client("pull") as pulling:
        push(pushing, f"{server.host}/app:1")
        layer = IMAGE.manifest.layers[0]
        path = server.blob(layer.digest)
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        with pytest.raises(ImageError), pulling.open_blob(f"{server.host}/app", layer) as stream:
            stream.read()


def test_what_is_missing(plain: RegistryServer) -> None:
    with client("pull") as pulling:
        for name in ("team/app:none", "nobody/nothing:1"):
            with pytest.raises(NotFoundError):
                pulling.get_manifest(Reference.parse(f"{plain.host}/{name}"))
        assert not pulling.has_blob(f"{plain.host}/nobody/nothing", IMAGE.manifest.config.digest)


def test_a_password(tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry", password=True) as server:
        name = f"{server.host}/app:1"
        with client("push", keychain=keychain(server.host, PASSWORD)) as pushing:
            push(pushing, name)
        with client("pull", keychain=keychain(server.host, PASSWORD)) as pulling:
            pull(pulling, name)
        for chain in (Keychain(), keychain(server.host, "wr0ng")):
            with client("pull", keychain=chain) as pulling, pytest.raises(AuthError) as caught:
                pulling.get_manifest(Reference.parse(name))
            assert "wr0ng" not in caught.value.describe()


def test_tls(tmp_path: Path) -> None:
    files = make_tls(tmp_path / "tls")
    with serve_registry(tmp_path / "registry", tls=files) as server:
        name = f"{server.host}/app:1"
        trusting = RegistryOptions(certificates={server.host: str(files.ca)})
        with client("push", options=trusting) as pushing:
            push(pushing, name)
        with client("pull", options=RegistryOptions(skip_tls_verify_registries=(server.host,))) as pulling:
            pull(pulling, name)
        with client("pull") as pulling, pytest.raises(RegistryError, match="does not verify"):
            pulling.get_manifest(Reference.parse(name))


def test_a_registry_that_died(tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry") as server:
        name = f"{server.host}/app:1"
        with client("push") as pushing:
            push(pushing, name)
    with client("push") as pushing, pytest.raises(RegistryError, match="Connection refused") as caught:
        push(pushing, name)
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("kind", ["oci", "docker-archive", "oci-archive"])
def test_skopeo_reads_what_we_write(tmp_path: Path, kind: str) -> None:
    assert shutil.which("skopeo")
    path = tmp_path / "image"
    content = IMAGE.manifest.to_bytes()
    if kind == "oci":
        write_layout(str(path), IMAGE.descriptor, content, IMAGE.open, name="host.example/team/app:1.2")
        source = f"oci:{path}:1.2"
    else:
        write_archive(str(path), content, IMAGE.open, tags=[Reference.parse("host.example/team/app:1.2")])
        source = f"{kind}:{path}" + (":host.example/team/app:1.2" if kind == "docker-archive" else ":1.2")
    run(["skopeo", "copy", source, f"dir:{tmp_path / 'out'}"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["config"]["digest"] == IMAGE.manifest.config.digest
    assert len(manifest["layers"]) == 3


def test_docker_loads_our_archive(tmp_path: Path, docker: Docker) -> None:
    path = tmp_path / "image.tar"
    tags = [Reference.parse("loaded/one:1"), Reference.parse("host.example:5000/loaded/two:2")]
    write_archive(str(path), IMAGE.manifest.to_bytes(), IMAGE.open, tags=tags)
    docker.load(path)
    for name in ("loaded/one:1", "host.example:5000/loaded/two:2"):
        assert docker.saved(name).config["rootfs"] == json.loads(IMAGE.config)["rootfs"]


def test_umoci_reads_our_layout(tmp_path: Path) -> None:
    image: SmallImage = IMAGE
    path = tmp_path / "layout"
    write_layout(str(path), image.descriptor, image.manifest.to_bytes(), image.open, name="app:1.2")
    assert "1.2" in run(["umoci", "list", "--layout", path])
