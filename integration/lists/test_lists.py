"""Lists with real builds: images upon images that no registry has, stages built once, registries asked before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.support.registries import PASSWORD, RegistryServer

pytestmark = pytest.mark.root
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def krunner(tmp_path: Path, work: Path) -> Run:
    """Runs krunner in a folder with a builds.yaml, with a store for all tests."""

    def run(text: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "builds.yaml").write_text(text)
        command = [sys.executable, "-m", "runner.cli", *words]
        root, home = str(Path(__file__).parents[2]), str(work / "lists-home")
        variables = {**os.environ, "KRUNNER_HOME": home, "PYTHONPATH": root, **environment}
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    return run


def result(folder: Path) -> dict[str, dict[str, object]]:
    document = json.loads((folder / "krunner-report" / "result.json").read_text())
    images: dict[str, dict[str, object]] = document["images"]
    return images


def layers_of(layout: Path) -> list[str]:
    """The digests of the layers of a layout's newest image."""
    blobs = layout / "blobs" / "sha256"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][-1]["digest"].removeprefix("sha256:")).read_text())
    return [layer["digest"] for layer in manifest["layers"]]


def files_of(layout: Path) -> set[str]:
    """The names in the layers of a layout's newest image."""
    archives = [layout / "blobs" / "sha256" / digest.removeprefix("sha256:") for digest in layers_of(layout)]
    listings = [subprocess.run(["tar", "-tf", archive], capture_output=True, check=True) for archive in archives]
    return {name.strip("/") for listing in listings for name in listing.stdout.decode().split()}


@pytest.mark.parametrize("driver", ["overlay", "chroot"])
def test_shared_stages_of_targets_are_built_once(
    krunner: Run, tmp_path: Path, base_host: str, driver: str
) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base_host}/busybox AS common\nRUN echo built >> /proof; cat /proc/sys/kernel/random/uuid > /once\n"
        "FROM common AS web\nRUN echo web > /web\nFROM common AS worker\nRUN echo worker > /worker\n"
    )
    entry = "{name: app, context: ., targets: [web, worker], no_push: true, oci_layout: 'out/${target}'}"
    text = f"version: 1\ndefaults: {{insecure: true, rootfs: {driver}}}\nbuilds: [{entry}]\n"
    done = krunner(text, "build", "builds.yaml", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    web, worker = (layers_of(tmp_path / "out" / name) for name in ("web", "worker"))
    assert web[:2] == worker[:2], "the common RUN, which writes a new number each time, was carried out once"
    assert web != worker
    again = krunner(text, "build", "builds.yaml")
    assert again.returncode == 0, again.stderr
    assert layers_of(tmp_path / "out" / "web")[1] != web[1], "the next run takes nothing from this one"


def test_images_upon_images_that_are_pushed_nowhere(krunner: Run, tmp_path: Path) -> None:
    for name in ("base", "app"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    (tmp_path / "base" / "Dockerfile").write_text("FROM scratch\nCOPY base /\n")
    (tmp_path / "app" / "Dockerfile").write_text("FROM lower\nCOPY --from=lower base /copied\nCOPY app /\n")
    done = krunner(
        "version: 1\nbuilds:\n"
        "  - {name: app, context: app, contexts: {lower: 'target:base'}, oci_layout: out/app}\n"
        "  - {name: base, context: base, no_push: true}\n",
        "builds.yaml",
    )
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "out" / "app") == {"base", "copied", "app"}
    assert [image["status"] for image in result(tmp_path).values()] == ["built", "built"]


def test_what_registries_say_before_the_build(
    krunner: Run, tmp_path: Path, registry: RegistryServer, locked_registry: RegistryServer, base_host: str
) -> None:
    (tmp_path / "Dockerfile").write_text(f"ARG NAME=busybox\nFROM {base_host}/$NAME\n")
    text = (
        "version: 1\ndefaults: {insecure: true, pull: {retries: 0}}\nbuilds:\n"
        f"  - {{name: good, destinations: ['{registry.host}/lists/good:1']}}\n"
        "  - {name: no-base, no_push: true, args: {NAME: none-such}}\n"
        f"  - {{name: forbidden, destinations: ['{registry.host}/lists/a', '{locked_registry.host}/lists/b']}}\n"
    )
    assert krunner(text, "validate", "builds.yaml").returncode == 0
    done = krunner(text, "validate", "builds.yaml", "--online", "--format", "json", DOCKER_CONFIG=str(tmp_path))
    faults = json.loads(done.stdout)
    assert done.returncode == 2
    assert [(fault["line"], fault["path"]) for fault in faults] == [
        (5, "builds[1]"),
        (6, "builds[2].destinations[1]"),
    ]
    assert "none-such" in faults[0]["message"]
    assert locked_registry.host in faults[1]["message"]
    assert PASSWORD not in done.stdout
