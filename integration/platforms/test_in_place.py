"""Programs of other architectures in a container that may mount nothing."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.support import emulation
from integration.support.builders import Docker
from integration.support.container import Container, started
from integration.support.flatten import flatten
from integration.support.images import read_image, read_index
from integration.support.programs import run
from integration.support.registries import RegistryServer

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="arm64 is to be the foreign platform"),
    pytest.mark.usefixtures("as_before"),
]

_BOTH = "--platform=linux/amd64,linux/arm64"


@pytest.fixture(scope="module")
def container(krunner_images: Docker, work: Path) -> Iterator[Container]:
    workspace = work / "platforms-in-place"
    workspace.mkdir()
    with started(krunner_images, workspace) as container:
        yield container


def words(container: Container, *lines: str) -> tuple[str | Path, ...]:
    (container.workspace / "Dockerfile").write_text("\n".join(lines))
    return container.executor("--context=/workspace")


def test_foreign_programs_run_where_an_emulator_is_registered(
    container: Container, multibox: str, registry: RegistryServer
) -> None:
    target = f"{registry.host}/in-place/multi:1"
    build = words(
        container, f"FROM {multibox}", "RUN uname -m > /machine", "RUN test -s /machine && ls -l /proc/self"
    )
    with emulation.arm64_programs():
        done = container.run(*build, _BOTH, f"--destination={target}", "--oci-layout-path=/workspace/layout")
    assert done.status == 0, done.output
    index = read_index(container.workspace / "layout")
    machines = {}
    for entry in index["manifests"]:
        tree = flatten(read_image(container.workspace / "layout", entry["digest"]))
        machines[entry["platform"]["architecture"]] = tree["/machine"].sha256
    assert machines == {"amd64": _sha256("x86_64\n"), "arm64": _sha256("aarch64\n")}
    assert json.loads(run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}"])) == index


def test_a_stage_of_this_platform_needs_no_emulator(container: Container, multibox: str) -> None:
    lines = ("ARG TARGETARCH", "RUN echo $TARGETARCH > /for", f"FROM {multibox}", "COPY --from=0 /for /")
    build = words(container, f"FROM --platform=$BUILDPLATFORM {multibox}", *lines)
    done = container.run(*build, _BOTH, "--no-push", "--oci-layout-path=/workspace/cross")
    assert done.status == 0, done.output
    assert len(read_index(container.workspace / "cross")["manifests"]) == 2


def test_without_an_emulator_the_error_says_so(container: Container, multibox: str) -> None:
    build = words(container, f"FROM {multibox}", "RUN uname -m")
    done = container.run(*build, "--no-push", "--platform=linux/arm64")
    assert done.status == 1, done.output
    error = " ".join(done.output.partition("ERRO ")[2].split())
    assert error == (
        "Dockerfile:2:1: exec /bin/sh: exec format error; the image is for linux/arm64, this machine is "
        "linux/amd64, and no emulator can run it: /proc/sys/fs/binfmt_misc is not mounted, so "
        "/proc/sys/fs/binfmt_misc/qemu-aarch64 is not there "
        "2 | >>> RUN uname -m "
        "hint: register an emulator on the machine, with the flag F (Debian: qemu-user-static and "
        "binfmt-support; or docker run --privileged tonistiigi/binfmt --install arm64), or compile "
        "in a stage that is FROM --platform=$BUILDPLATFORM"
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
