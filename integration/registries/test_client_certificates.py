"""A real registry that wants certificates of its clients: builds push, pull and cache there, others are told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.support.builders import BIN
from integration.support.programs import run
from integration.support.registries import RegistryServer, TlsFiles, make_tls, serve_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The registry, the files that open it, and a folder with a context."""

    registry: RegistryServer
    tls: TlsFiles
    folder: Path

    @property
    def flags(self) -> list[str]:
        """As kaniko spells them."""
        host, tls = self.registry.host, self.tls
        return [
            f"--registry-certificate={host}={tls.ca}",
            f"--registry-client-cert={host}={tls.client},{tls.client_key}",
        ]

    def build(self, text: str, *flags: str | Path, home: str = "home") -> subprocess.CompletedProcess[str]:
        (self.folder / "Dockerfile").write_text(text)
        argv = [BIN / "executor", f"--context={self.folder}", "--push-retry=1", *flags]
        environment = {**os.environ, "KRUNNER_HOME": str(self.folder / home)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def world(tmp_path: Path, tls: TlsFiles) -> Iterator[World]:
    (tmp_path / "file").write_text("content")
    with serve_registry(tmp_path / "registry", tls=tls, clients=True) as registry:
        yield World(registry=registry, tls=tls, folder=tmp_path)


def test_push_pull_and_cache(world: World) -> None:
    host = world.registry.host
    cached = ["--cache", "--cache-copy-layers", f"--cache-repo={host}/team/cache"]
    pushed = world.build("FROM scratch\nCOPY file /\n", *world.flags, f"--destination={host}/base:1")
    assert pushed.returncode == 0, pushed.stderr
    text = f"FROM {host}/base:1\nCOPY file /again\n"
    for number, told in ((1, "No cached layer found"), (2, "Using caching version")):
        words = (*world.flags, *cached, f"--destination={host}/app:{number}")
        done = world.build(text, *words, home=f"home-{number}")
        assert done.returncode == 0, done.stderr
        assert told in done.stderr
        assert "WARN" not in done.stderr
    tls = world.tls
    certificates = world.folder / "certificates"
    certificates.mkdir()
    for name, file in (("ca.crt", tls.ca), ("client.cert", tls.client), ("client.key", tls.client_key)):
        (certificates / name).write_bytes(file.read_bytes())
    seen = json.loads(run(["skopeo", "inspect", f"--cert-dir={certificates}", f"docker://{host}/app:2"]))
    assert len(seen["Layers"]) == 2


def test_a_list_and_the_warmer(world: World) -> None:
    host, tls = world.registry.host, world.tls
    pushed = world.build("FROM scratch\nCOPY file /\n", *world.flags, f"--destination={host}/base:1")
    assert pushed.returncode == 0, pushed.stderr
    (world.folder / "Dockerfile").write_text(f"FROM {host}/base:1\nCOPY file /again\n")
    pair = {"certificate": str(tls.client), "key": str(tls.client_key)}
    build = {"name": "app", "context": ".", "destinations": [f"{host}/list:1"], "cache": True}
    defaults = {"registry_certificates": {host: str(tls.ca)}, "registry_client_certificates": {host: pair}}
    document = {"version": 1, "defaults": defaults, "builds": [build]}
    (world.folder / "builds.yaml").write_text(json.dumps(document))
    environment = {**os.environ, "KRUNNER_HOME": str(world.folder / "list")}
    run([BIN / "krunner", "build", "--report-dir=", world.folder / "builds.yaml"], env=environment)
    warmer = [BIN / "python", "-c", "from executor.warmer.cli import main; main()"]
    run([*warmer, *world.flags, f"--image={host}/list:1", f"--cache-dir={world.folder}/warm"])
    assert list((world.folder / "warm" / "images").iterdir())


@pytest.mark.parametrize("certificate", ["none", "another's"])
@pytest.mark.parametrize("insecure", [(), ("--insecure", "--insecure-pull")])
def test_without_the_right_certificate(world: World, certificate: str, insecure: tuple[str, ...]) -> None:
    """It is told once and at once, and never tried without TLS."""
    flags = world.flags[:1]
    if certificate == "another's":
        other = make_tls(world.folder / "other")
        flags.append(f"--registry-client-cert={world.registry.host}={other.client},{other.client_key}")
    name = f"{world.registry.host}/app:1"
    for text in ("FROM scratch\nCOPY file /\n", f"FROM {name}\nCOPY file /\n"):
        done = world.build(text, *flags, *insecure, f"--destination={name}")
        assert done.returncode == 1, done.stderr
        assert f"https://{world.registry.host} wants a certificate of its clients" in done.stderr
        assert f"--registry-client-cert {world.registry.host}=CERTIFICATE,KEY" in done.stderr
        assert "Retrying" not in done.stderr
    assert "HTTP request to an HTTPS server" not in world.registry.log.read_text()


def test_keys_that_do_not_serve(world: World) -> None:
    host, tls, locked = world.registry.host, world.tls, world.folder / "locked.key"
    run(["openssl", "pkey", "-aes128", "-passout", "pass:secret", "-in", tls.client_key, "-out", locked])
    for key, reason in (
        (tls.key, "the key is not that of the certificate"),
        (locked, "not PEM, or the key has a password"),
    ):
        flags = [*world.flags[:1], f"--registry-client-cert={host}={tls.client},{key}"]
        done = world.build("FROM scratch\nCOPY file /\n", *flags, f"--destination={host}/app:1")
        assert done.returncode == 2
        assert f"{key} for {host} cannot be used: {reason}" in done.stderr


def test_a_cache_that_wants_another_certificate_does_not_fail_a_build(
    world: World, registry: RegistryServer
) -> None:
    place = f"{world.registry.host}/team/cache"
    words = [
        "--cache",
        "--cache-copy-layers",
        f"--cache-repo={place}",
        f"--destination={registry.host}/certified:1",
    ]
    done = world.build("FROM scratch\nCOPY file /\n", *world.flags[:1], *words)
    assert done.returncode == 0, done.stderr
    assert f"the layer cache {place} cannot be read, so this build does without" in done.stderr
