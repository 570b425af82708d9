"""Builds and the warmer pull from real mirrors, with a password or lacking the image, and push to the registry."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from executor.events import discard
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.push import PushBlob, PushDocument, push_image
from executor.spec import RegistryOptions
from integration.support.builders import BIN
from integration.support.registries import PASSWORD, USER, RegistryServer
from tests.support.images import small_image

IMAGE = small_image((b"mirrored",))
DOCKERFILE = (
    "FROM quay.io/team/app:1 AS base\nFROM scratch\nCOPY --from=base /file /a\nCOPY --from=alpine /file /b\n"
)


def logins(server: RegistryServer) -> str:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return json.dumps({"auths": {server.host: {"auth": auth}}})


def put(server: RegistryServer, repository: str) -> None:
    manifest = IMAGE.manifest
    blobs = [
        PushBlob(descriptor=entry, source="", open=lambda entry=entry: IMAGE.open(entry))  # type: ignore[misc]
        for entry in (manifest.config, *manifest.layers)
    ]
    keychain = Keychain.from_environment({"DOCKER_AUTH_CONFIG": logins(server)})
    with RegistryClient(RegistryOptions(), keychain, discard, "push") as client:
        documents = [PushDocument(manifest.media_type, manifest.to_bytes())]
        push_image(client, Reference.parse(f"{server.host}/{repository}"), documents, blobs)


def done(argv: list[str | Path], server: RegistryServer, home: Path) -> str:
    environment = {**os.environ, "DOCKER_AUTH_CONFIG": logins(server), "KRUNNER_HOME": str(home)}
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_pulls_go_to_the_mirrors(
    registry: RegistryServer, locked_registry: RegistryServer, tmp_path: Path
) -> None:
    """The first mirror lacks both images, the second has them behind a password; nothing else can be reached."""
    put(locked_registry, "quay/team/app:1")
    put(locked_registry, "library/alpine:latest")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    mirrors: list[str | Path] = [
        f"--registry-mirror={registry.host}",
        f"--registry-mirror={locked_registry.host}",
        f"--registry-map=quay.io={registry.host};{locked_registry.host}/quay",
        "--skip-default-registry-fallback",
        "--image-download-retry=1",
        "--custom-platform=linux/amd64",
    ]
    name = f"{registry.host}/mirrored/result:1"
    build: list[str | Path] = [BIN / "executor", f"--context={tmp_path}", f"--destination={name}", *mirrors]
    told = done(build, locked_registry, tmp_path / "home")
    assert f"quay.io/team/app is not had from {registry.host}/team/app: " in told
    assert f"docker.io/library/alpine is not had from {registry.host}/library/alpine: " in told
    with RegistryClient(RegistryOptions(), Keychain(), discard, "pull") as client:
        assert client.head_manifest(Reference.parse(name))

    module = "from executor.warmer.cli import main; main()"
    images = ["--image=alpine", "--image=quay.io/team/app:1", f"--cache-dir={tmp_path}/cache"]
    done([sys.executable, "-c", module, *images, *mirrors], locked_registry, tmp_path / "home")
    assert len(list((tmp_path / "cache" / "images").iterdir())) > 0
