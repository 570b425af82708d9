"""Builds with secrets of every kind; their bytes are then looked for in all that was left, said and pushed."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from integration.differential.sites import serve_sites, ssh_agent
from integration.support import bases, registries
from integration.support.builders import BIN
from integration.support.gitserver import serve_git
from integration.support.leaks import leaks
from integration.support.programs import run
from integration.support.registries import RegistryServer, serve_registry

_SHOWN = "not-a-secret-but-a-build-argument"
"""The control: it must be found, else the search finds nothing at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all builds use. `kept` is outside of what is searched; secrets are by the kind of their source."""

    registry: RegistryServer
    git: str
    kept: Path
    socket: Path
    values: Mapping[str, str]
    private_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """The environment of a build: credentials, the agent, and the secret that is a variable."""
        return {
            "DOCKER_CONFIG": str(self.kept),
            "SSH_AUTH_SOCK": str(self.socket),
            "THE_TOKEN": self.values["variable"],
        }

    def all(self) -> dict[str, str]:
        """Every byte string that must be found nowhere, by name."""
        return {**self.values, "registry": registries.PASSWORD, "key": self.private_key}

    def dockerfile(self, *, last: str, mounts: str) -> str:
        """A Dockerfile that uses all secrets, shows them, and ends with the command `last`."""
        return (
            f"FROM {self.registry.host}/busybox\nARG SHOWN\nRUN echo $SHOWN > /shown\n"
            f"ADD http://tester:{self.values['git']}@{self.git}/repo.git#v1 /repository\n"
            f"RUN {mounts} \\\n"
            '  echo "it is $TOKEN!"; echo "$TOKEN" >&2; md5sum /run/secrets/* > /sums 2> /dev/null; '
            "cat /run/secrets/*; test ! -e /agent || echo agent > /used; set | grep TOKEN; true\n"
            f"RUN --mount=type=secret,id=variable,env=TOKEN {last}\n"
        )


@pytest.fixture(scope="module")
def world(work: Path) -> Iterator[World]:
    """A registry with a password, a git server with a token, an agent with a key."""
    kept = work / "secrets"
    kept.mkdir()
    values = {kind: f"{kind[:2]}+{secrets.token_hex(9)}/@ %{kind}" for kind in ("file", "variable")}
    values["git"] = f"gt{secrets.token_hex(12)}"
    (kept / "file").write_text(values["file"])
    pair = f"{registries.USER}:{registries.PASSWORD}"
    with (
        serve_registry(kept / "registry", password=True) as registry,
        serve_sites(kept / "sites"),
        serve_git(kept / "sites" / "git", token=_basic(f"tester:{values['git']}")) as git,
        ssh_agent(kept / "ssh") as socket,
    ):
        (kept / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": _basic(pair)}}}))
        _push(bases.busybox_archive(), registry.host, pair)
        key = "".join((kept / "ssh" / "key").read_text().splitlines()[1:-1])
        yield World(registry=registry, git=git, kept=kept, socket=socket, values=values, private_key=key[-100:])


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def _push(archive: Path, host: str, pair: str) -> None:
    words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"--dest-creds={pair}"]
    run([*words, f"docker-archive:{archive}", f"docker://{host}/busybox:latest"])


_MOUNTS = (
    "--mount=type=secret,id=file --mount=type=secret,id=variable,env=TOKEN,target=/run/secrets/v "
    "--mount=type=ssh,target=/agent"
)


@pytest.fixture(params=["overlay", "chroot"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("last", "status"), [("true > /done", 0), ('echo "$TOKEN"; exit 3', 3)])
@pytest.mark.parametrize("form", ["text", "json"])
def test_executor(world: World, driver: str, form: str, last: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    dockerfile = world.kept / "Dockerfile"
    dockerfile.write_text(world.dockerfile(last=last, mounts=_MOUNTS))
    name = f"{world.registry.host}/{driver}-{form}"
    words = [
        *(BIN / "executor", f"--context={tmp_path}/context", f"--dockerfile={dockerfile}", f"--rootfs={driver}"),
        *("--insecure", "--insecure-pull", f"--destination={name}:1", f"--kaniko-dir={tmp_path}/home"),
        *("--cache", "--cache-copy-layers", f"--cache-repo={name}/cache", f"--cache-repo=dir:{tmp_path}/cache"),
        *(f"--oci-layout-path={tmp_path}/layout", f"--tar-path={tmp_path}/image.tar"),
        *("--verbosity=trace", f"--log-format={form}", f"--build-arg=SHOWN={_SHOWN}", "--ssh=default"),
        *(f"--secret=id=file,src={world.kept}/file", "--secret=id=variable,env=THE_TOKEN"),
    ]
    log = _log(words, world, status)
    assert leaks(world.all(), tmp_path, log=log) == []
    assert leaks(world.all(), world.registry.folder / "docker") == []
    assert leaks({"shown": _SHOWN}, tmp_path), "the search finds nothing"
    assert "***" in log


def test_krunner(world: World, driver: str, tmp_path: Path) -> None:
    dockerfiles = {"good": "true > /done", "bad": 'echo "$TOKEN"; exit 3'}
    lines = ["version: 1", "builds:"]
    for name, last in dockerfiles.items():
        (world.kept / name).mkdir(exist_ok=True)
        (world.kept / name / "Dockerfile").write_text(world.dockerfile(last=last, mounts=_MOUNTS))
        lines += [
            f"  - name: {name}",
            f"    context: {world.kept}/{name}",
            f"    destinations: ['{world.registry.host}/{driver}-list/{name}:1']",
            "    insecure: true",
            f"    args: {{SHOWN: {_SHOWN}}}",
            f"    secrets: {{file: {{file: {world.kept}/file}}, variable: {{env: THE_TOKEN}}}}",
            '    ssh: {default: ""}',
        ]
    (tmp_path / "builds.yaml").write_text("\n".join(lines))
    words = [BIN / "krunner", f"--rootfs={driver}", f"--report-dir={tmp_path}/report", tmp_path / "builds.yaml"]
    log = _log(words, world, 1, KRUNNER_HOME=str(tmp_path / "home"))
    assert leaks(world.all(), tmp_path, log=log) == []
    assert leaks(world.all(), world.registry.folder / "docker") == []
    assert (tmp_path / "report" / "result.json").exists()


def test_a_context_from_git_with_a_token(world: World, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {world.registry.host}/busybox\nCOPY . /all\nRUN exit 3\n")
    url = f"http://tester:{world.values['git']}@{world.git}/repo.git#refs/tags/v1"
    words = [
        *(BIN / "executor", f"--context={url}", f"--dockerfile={tmp_path}/Dockerfile", "--no-push"),
        *("--insecure-pull", "--verbosity=trace", f"--kaniko-dir={tmp_path}/home"),
    ]
    assert leaks(world.all(), tmp_path, log=_log(words, world, 3)) == []
    log = _log([word.replace("v1", "v9") if isinstance(word, str) else word for word in words], world, None)
    assert leaks(world.all(), tmp_path, log=log) == []


def _log(words: list[str | Path], world: World, status: int | None, **env: str) -> str:
    done = subprocess.run(
        words,
        env={**os.environ, **world.environment(), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert status is None or done.returncode == status, done.stdout
    return done.stdout
