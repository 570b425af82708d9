"""Images in every compression and format: what other tools make of them, and that base layers stay as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from integration.support.builders import Docker, Executor
from integration.support.flatten import flatten
from integration.support.images import read_layout
from integration.support.programs import run
from integration.support.registries import RegistryServer

DOCKERFILE = "FROM registry.test/layered\nUSER 0\nRUN seq 200000 > /numbers && rm /etc/passwd\n"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

any_driver_will_do = pytest.mark.parametrize("executor", ["overlay"], indirect=True)


def build(executor: Executor, folder: Path, *flags: str | Path) -> None:
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE.replace("registry.test", executor.registry))
    executor.run(f"--context={folder}", *flags)


@any_driver_will_do
@pytest.mark.parametrize("flags", [(), ("--compression=zstd",), ("--compression-level=9",), ("--reproducible",)])
def test_umoci_unpacks_what_any_compression_wrote(
    executor: Executor, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    layout = tmp_path / "layout"
    build(
        executor, tmp_path / "context", "--no-push", f"--oci-layout-path={layout}", "--destination=x/y:tag", *flags
    )
    image = read_layout(layout)
    types = [layer["mediaType"] for layer in image.manifest["layers"]]
    last = f"{OCI_LAYER}+zstd" if "--compression=zstd" in flags else f"{OCI_LAYER}+gzip"
    assert types == [*[f"{OCI_LAYER}+gzip"] * (len(types) - 1), last], "layers of the base stay as they are"
    if "--compression=zstd" not in flags:  # Debian's umoci knows none
        run(["umoci", "unpack", "--image", f"{layout}:tag", tmp_path / "bundle"])
        numbers = (tmp_path / "bundle" / "rootfs" / "numbers").read_text()
        assert numbers == "".join(f"{number}\n" for number in range(1, 200_001))
        assert not (tmp_path / "bundle" / "rootfs" / "etc" / "passwd").exists()
    assert flatten(image)["/numbers"].size == sum(len(f"{number}\n") for number in range(1, 200_001))


@any_driver_will_do
def test_docker_media_types_from_manifest_to_layer(
    executor: Executor, registry: RegistryServer, docker: Docker, tmp_path: Path
) -> None:
    name, archive = f"{registry.host}/formats/docker:1", tmp_path / "image.tar"
    build(
        executor, tmp_path / "context", "--image-format=docker", f"--destination={name}", f"--tar-path={archive}"
    )
    manifest = json.loads(run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]))
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert {layer["mediaType"] for layer in manifest["layers"]} == {f"{DOCKER_LAYER}.gzip"}
    base = json.loads(
        run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{executor.registry}/layered"])
    )
    below = [layer["digest"] for layer in base["layers"]]
    assert [layer["digest"] for layer in manifest["layers"]][: len(below)] == below
    docker.load(archive)
    assert docker.run("image", "inspect", "--format", "{{len .RootFS.Layers}}", name).strip() == str(
        len(below) + 1
    )
    oci = tmp_path / "oci"
    again = tmp_path / "again"
    again.mkdir()
    (again / "Dockerfile").write_text(f"FROM {name}\nLABEL a=b\n")
    executor.run(f"--context={again}", "--no-push", f"--oci-layout-path={oci}")
    assert {layer["mediaType"] for layer in read_layout(oci).manifest["layers"]} == {f"{OCI_LAYER}+gzip"}


@any_driver_will_do
def test_a_new_label_recompresses_nothing(executor: Executor, tmp_path: Path) -> None:
    """A zstd image with another label has the same blobs, even where gzip is asked for."""
    first, second = tmp_path / "first", tmp_path / "second"
    name = f"{executor.registry}/formats/zstd:1"
    build(
        executor, tmp_path / "context", "--compression=zstd", f"--destination={name}", f"--oci-layout-path={first}"
    )
    (tmp_path / "context" / "Dockerfile").write_text(f"FROM {name}\nLABEL a=b\n")
    shutil.rmtree(executor.home)
    executor.run(f"--context={tmp_path}/context", "--no-push", f"--oci-layout-path={second}")
    assert read_layout(second).manifest["layers"] == read_layout(first).manifest["layers"]
    refused = executor.argv(f"--context={tmp_path}/context", "--no-push", "--image-format=docker")
    with pytest.raises(Exception, match="cannot stand in a docker image"):
        run(refused, env={"PATH": "/usr/bin:/bin", "KRUNNER_HOME": str(executor.home)})


@any_driver_will_do
def test_a_zstd_base_of_a_docker_image_is_refused_before_the_first_step(
    executor: Executor, tmp_path: Path
) -> None:
    name, context = f"{executor.registry}/formats/zstd:2", tmp_path / "context"
    build(executor, context, "--compression=zstd", f"--destination={name}")
    (context / "Dockerfile").write_text(f"FROM {name} AS base\nRUN touch /x\nFROM base\nRUN touch /y\n")
    argv = executor.argv(f"--context={context}", "--no-push", "--image-format=docker")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stderr
    assert f"cannot build on {name}: layer sha256:" in done.stderr
    assert "+zstd cannot stand in a docker image" in done.stderr
    assert "RUN touch" not in done.stderr
    (context / "Dockerfile").write_text(f"FROM {name} AS tools\nFROM scratch\nCOPY --from=tools /numbers /\n")
    executor.run(f"--context={context}", "--no-push", "--image-format=docker")
