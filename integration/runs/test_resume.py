"""A list that is begun again with `--resume`, and what `plan --explain` says of it, with a real registry."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from integration.support.builders import BIN
from integration.support.programs import run, wait_until
from integration.support.registries import serve_registry
from tests.support.fake_registry import FakeRegistry, Fault

LIST = """
version: 1
defaults: {insecure: true}
builds:
  - {name: web, context: web, destinations: ["%(host)s/web:1"], args: {BASE: "%(host)s/base:1"}}
  - {name: base, context: base, destinations: ["%(host)s/base:1", "%(host)s/base:2"], cache: %(cache)s}
  - {name: last, context: last, destinations: ["%(host)s/last:1"], needs: [web]}
"""


class Project:
    """A list of three images, a store, and a registry of its own."""

    def __init__(self, folder: Path, host: str, base: str) -> None:
        self.folder = folder
        self.host = host
        self.home = folder / "home"
        self.cache = "false"
        self.write("web/Dockerfile", "ARG BASE\nFROM $BASE\nRUN echo web >/w\n")
        self.write("base/Dockerfile", f"FROM {base}/busybox\nCOPY f /f\nRUN echo made >/b\n")
        self.write("base/f", "one")
        self.write("last/Dockerfile", f"FROM {base}/busybox\nRUN sleep 0.2 && echo last >/l\n")

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start krunner in the folder."""
        self.write("builds.yaml", LIST % {"host": self.host, "cache": self.cache})
        return subprocess.Popen(
            [BIN / "krunner", *words],
            cwd=self.folder,
            env={**os.environ, "KRUNNER_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def krunner(self, *words: str) -> str:
        """Run krunner to its end, which must be a good one; what it said."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=100)
        assert process.returncode == 0, said
        return said

    @property
    def images(self) -> Mapping[str, Mapping[str, Any]]:
        """`images` of result.json."""
        document = json.loads((self.folder / "krunner-report/result.json").read_text())
        found: Mapping[str, Mapping[str, Any]] = document["images"]
        return found

    @property
    def kept(self) -> set[str]:
        """The images that the last run kept."""
        return {name for name, image in self.images.items() if image["kept"]}

    @property
    def digests(self) -> dict[str, str]:
        """The images by digest; what the registry has must agree."""
        digests = {name: image["digest"] for name, image in self.images.items()}
        for name, digest in digests.items():
            inspect = ["skopeo", "inspect", "--tls-verify=false", "--format={{.Digest}}"]
            assert run([*inspect, f"docker://{self.host}/{name}:1"]).strip() == digest
        return digests


@pytest.fixture
def project(tmp_path, base_host):
    with serve_registry(tmp_path / "registry") as registry:
        yield Project(tmp_path / "project", registry.host, base_host)


def test_what_is_done_stays_and_what_has_changed_is_built(project):
    project.krunner("builds.yaml")
    first = project.digests
    project.krunner("--resume", "builds.yaml")
    assert (project.kept, project.digests) == ({"web", "base", "last"}, first)

    project.write("base/f", "two")
    project.krunner("--resume", "builds.yaml")
    assert project.kept == {"last"}  # web is built upon base
    assert project.digests["web"] != first["web"]
    assert project.digests["last"] == first["last"]


def test_from_another_container_that_has_the_reports(project):
    project.krunner("builds.yaml")
    first = project.digests
    project.home = project.folder / "another-home"
    project.write("web/Dockerfile", "ARG BASE\nFROM $BASE\nRUN echo other >/w\n")
    project.krunner("--resume", "builds.yaml")
    assert project.kept == {"base", "last"}
    assert project.digests["base"] == first["base"]


def test_a_tag_that_somebody_moved_is_pushed_again(project):
    project.krunner("builds.yaml")
    source, target = (f"docker://{project.host}/{name}" for name in ("last:1", "base:2"))
    run(["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, target])
    project.krunner("--resume", "builds.yaml")
    assert project.kept == {"last"}


def test_after_a_kill_only_the_rest_is_built(project):
    process = project.start("--jobs", "1", "builds.yaml")
    report = project.folder / "krunner-report/result.json"
    wait_until(
        lambda: report.exists() and json.loads(report.read_text())["images"]["base"]["status"] == "built", "base"
    )
    process.kill()
    process.communicate()
    base = project.images["base"]["digest"]
    project.krunner("--resume", "--jobs", "1", "builds.yaml")
    assert "base" in project.kept
    assert project.digests["base"] == base
    assert {image["status"] for image in project.images.values()} == {"built"}
    lines = (project.folder / "krunner-report/digests.txt").read_text().splitlines()
    assert len(lines) == 4


def test_resuming_builds_nothing_anew_and_is_quick_about_it(project):
    project.krunner("builds.yaml")
    said = project.krunner("--resume", "-v", "builds.yaml")
    assert "pulling" not in said
    assert "RUN" not in said


def test_what_would_be_built_and_why(project):
    project.cache = f"{{repositories: ['{project.host}/cache']}}"
    project.krunner("builds.yaml")
    text = project.krunner("plan", "--explain", "builds.yaml")
    assert "base is in the cache: 2 of 2 steps cached; as in the last run" in text
    assert f"cache in {project.host}/cache" in text
    assert "web would be built: it has no layer cache; as in the last run" in text

    project.write("base/f", "three")
    text = project.krunner("plan", "--explain", "builds.yaml")
    assert "base would be built: 0 of 2 steps cached; other inputs than in the last run" in text
    assert "changed: what is copied" in text
    assert "web would be built: it builds upon base, which is built" in text


def test_what_the_plan_says_comes_true(project):
    project.cache = f"{{repositories: ['{project.host}/cache']}}"
    project.krunner("builds.yaml")
    project.write("base/Dockerfile", (project.folder / "base/Dockerfile").read_text() + "RUN echo more >/c\n")
    planned = json.loads(project.krunner("plan", "--explain", "--json", "builds.yaml"))
    states = {image["name"]: [s["state"] for s in image["explanation"]["steps"]] for image in planned["images"]}
    assert states["base"] == ["cached", "cached", "runs"]
    project.krunner("builds.yaml")
    steps = project.images["base"]["stages"][0]["steps"]
    assert ["cached" if step["cached"] else "runs" for step in steps] == states["base"]


def test_what_is_printed_as_json_is_as_the_schemas_say(project):
    project.krunner("builds.yaml")
    printed = {
        "plan": project.krunner("plan", "--explain", "--json", "builds.yaml"),
        "doctor": project.krunner("doctor", "--json"),
        "prune": project.krunner("prune", "--json", "--all"),
        "keys": (project.folder / "krunner-report/keys/base.json").read_text(),
        "result": (project.folder / "krunner-report/result.json").read_text(),
    }
    for name, text in printed.items():
        validator = Draft202012Validator(json.loads(project.krunner("schema", name)))
        assert [error.message for error in validator.iter_errors(json.loads(text))] == [], name


def test_what_an_all_or_nothing_list_has_built_is_pushed_when_the_rest_is_built_too(project):
    project.write("last/Dockerfile", "FROM scratch\nCOPY nothing /\n")
    process = project.start("--push", "all-or-nothing", "builds.yaml")
    process.communicate(timeout=100)
    assert process.returncode == 1
    held = {name: image["digest"] for name, image in project.images.items() if image["status"] == "not pushed"}
    assert set(held) == {"base", "web"}

    project.write("last/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    said = project.krunner("--push", "all-or-nothing", "--resume", "builds.yaml")
    assert "RUN" not in said
    digests = project.digests
    assert {name: digests[name] for name in held} == held
    assert {name: image["status"] for name, image in project.images.items()} == dict.fromkeys(digests, "built")
    assert project.krunner("push", "--list") == "nothing is waiting to be pushed\n"


def test_an_image_whose_push_failed_is_only_pushed(tmp_path, base_host):
    with FakeRegistry() as registry:
        project = Project(tmp_path / "project", registry.host, base_host)
        registry.faults.append(Fault(method="PUT", path="/v2/base/manifests", status=403, times=1000))
        process = project.start("builds.yaml")
        process.communicate(timeout=100)
        assert process.returncode == 3
        before = {name: image["digest"] for name, image in project.images.items()}
        assert [image["status"] for image in project.images.values()] == ["push failed", "built", "built"]

        registry.faults.clear()
        said = project.krunner("--resume", "builds.yaml")
        assert "RUN" not in said
        assert project.kept == {"web", "last"}
        assert {name: image["digest"] for name, image in project.images.items()} == before
        assert {"1", "2", before["base"]} <= registry.manifests["base"].keys()
