"""Builds with secrets of every kind; their bytes are then looked for in all that was left, said and pushed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from integration.secrets.world import MOUNTS, SHOWN, World
from integration.support.builders import BIN
from integration.support.leaks import leaks


@pytest.fixture(params=["overlay", "chroot"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("last", "status"), [("true > /done", 0), ('echo "$TOKEN"; exit 3', 3)])
@pytest.mark.parametrize("form", ["text", "json"])
def test_executor(world: World, driver: str, form: str, last: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    dockerfile = world.kept / "Dockerfile"
    dockerfile.write_text(world.dockerfile(last=last, mounts=MOUNTS))
    name = f"{world.registry.host}/{driver}-{form}"
    words = [
        *(BIN / "executor", f"--context={tmp_path}/context", f"--dockerfile={dockerfile}", f"--rootfs={driver}"),
        *("--insecure", "--insecure-pull", f"--destination={name}:1", f"--kaniko-dir={tmp_path}/home"),
        *("--cache", "--cache-copy-layers", f"--cache-repo={name}/cache", f"--cache-repo=dir:{tmp_path}/cache"),
        *(f"--oci-layout-path={tmp_path}/layout", f"--tar-path={tmp_path}/image.tar"),
        *("--verbosity=trace", f"--log-format={form}", f"--build-arg=SHOWN={SHOWN}", "--ssh=default"),
        *(f"--secret=id=file,src={world.kept}/file", "--secret=id=variable,env=THE_TOKEN"),
    ]
    log = _log(words, world, status)
    assert leaks(world.all(), tmp_path, log=log) == []
    assert leaks(world.all(), world.registry.folder / "docker") == []
    assert leaks({"shown": SHOWN}, tmp_path), "the search finds nothing"
    assert "***" in log


def test_krunner(world: World, driver: str, tmp_path: Path) -> None:
    dockerfiles = {"good": "true > /done", "bad": 'echo "$TOKEN"; exit 3'}
    lines = ["version: 1", "builds:"]
    for name, last in dockerfiles.items():
        (world.kept / name).mkdir(exist_ok=True)
        (world.kept / name / "Dockerfile").write_text(world.dockerfile(last=last, mounts=MOUNTS))
        lines += [
            f"  - name: {name}",
            f"    context: {world.kept}/{name}",
            f"    destinations: ['{world.registry.host}/{driver}-list/{name}:1']",
            "    insecure: true",
            f"    args: {{SHOWN: {SHOWN}}}",
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
        *(
            "--insecure-pull",
            "--verbosity=trace",
            f"--kaniko-dir={tmp_path}/home",
            f"--events-file={tmp_path}/events",
        ),
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
