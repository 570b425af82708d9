"""Images that lie on disk, pushed to a real registry by `executor push` and pulled back by skopeo."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from integration.support.bases import busybox_archive
from integration.support.builders import BIN
from integration.support.images import StoredImage, read_docker_archive, read_layout
from integration.support.programs import run
from integration.support.registries import RegistryServer


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KRUNNER_HOME": str(folder / "home")}
    argv = [str(BIN / "executor"), *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)


def pulled(name: str, folder: Path) -> StoredImage:
    run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{name}", f"oci:{folder}:x"])
    return read_layout(folder)


def raw(source: str) -> str:
    return run(["skopeo", "inspect", "--raw", "--tls-verify=false", source])


@pytest.mark.parametrize("kind", ["oci-layout", "tar"])
def test_what_one_job_builds_another_pushes(registry: RegistryServer, tmp_path: Path, kind: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /one\nCOPY Dockerfile /two\n")
    names = [f"{registry.host}/pushed/{kind}-{number}:1" for number in (1, 2)]
    image = f"--{kind}-path={tmp_path / 'image'}"
    destinations = [f"--destination={name}" for name in names]
    digests = [tmp_path / "built", tmp_path / "pushed"]
    built = call(
        tmp_path, f"--context={tmp_path}", "--no-push", image, *destinations[:1], f"--digest-file={digests[0]}"
    )
    assert built.returncode == 0, built.stderr

    done = call(tmp_path, "push", f"{image}:1", *destinations, f"--digest-file={digests[1]}")
    assert done.returncode == 0, done.stderr
    assert digests[0].read_text() == digests[1].read_text()
    kept = f"oci-archive:{tmp_path / 'image'}:1" if kind == "tar" else f"oci:{tmp_path / 'image'}:1"
    assert [raw(f"docker://{name}") for name in names] == [raw(kept)] * 2
    run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{names[1]}", f"dir:{tmp_path / 'out'}"])

    again = call(tmp_path, "push", image, *destinations, "--log-format=json", "--verbosity=debug")
    blobs = [event for event in map(json.loads, again.stderr.splitlines()) if event.get("type") == "BlobPushed"]
    assert blobs
    assert {event["how"] for event in blobs} == {"existing"}


def test_a_docker_archive(registry: RegistryServer, tmp_path: Path) -> None:
    """As skopeo and older dockers write it: no manifest, layers that are not compressed."""
    archive, name = tmp_path / "saved.tar", f"{registry.host}/pushed/saved:1"
    run(["skopeo", "copy", "--quiet", f"docker-archive:{busybox_archive()}", f"docker-archive:{archive}:saved:1"])
    done = call(tmp_path, "push", f"--tar-path={archive}:saved:1", f"--destination={name}")
    assert done.returncode == 0, done.stderr
    image, expected = pulled(name, tmp_path / "pulled"), read_docker_archive(archive)
    assert image.config == expected.config
    assert image.layers == expected.layers
    manifest = json.loads(raw(f"docker://{name}"))
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"gzip"}


def test_a_damaged_layer_moves_no_tag(registry: RegistryServer, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    layout, name = tmp_path / "layout", f"{registry.host}/pushed/damaged:1"
    assert call(tmp_path, f"--context={tmp_path}", "--no-push", f"--oci-layout-path={layout}").returncode == 0
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    blobs = layout / "blobs" / "sha256"
    manifest = json.loads((blobs / entry["digest"].partition(":")[2]).read_bytes())
    layer = blobs / manifest["layers"][0]["digest"].partition(":")[2]
    content = layer.read_bytes()
    layer.write_bytes(content[:20] + bytes([content[20] ^ 1]) + content[21:])
    done = call(tmp_path, "push", f"--oci-layout-path={layout}", f"--destination={name}")
    assert done.returncode == 1
    assert f"sha256:{layer.name} is damaged" in done.stderr
    assert "hint:" in done.stderr
    with pytest.raises(Exception, match="unknown"):
        raw(f"docker://{name}")
