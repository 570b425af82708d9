"""The shared library and the Jenkinsfiles, run by a real Groovy and a real shell; Jenkins' steps are fakes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
JENKINS = ROOT / "jenkins"
FAKE = """#!/bin/sh
printf '%s\\n' "$@" >argv
mkdir -p krunner-report
echo registry.example/web:1@sha256:0 >krunner-report/digests.txt
exit {status}
"""
PUBLISHED = [
    ["junit", {"testResults": "krunner-report/junit.xml", "allowEmptyResults": True}],
    ["archiveArtifacts", {"artifacts": "krunner-report/**", "allowEmptyArchive": True}],
]
SCENARIOS: dict[str, dict[str, Any]] = {
    "defaults": {"options": {}},
    "all options": {
        "options": {
            "file": "it's here.yaml",
            "jobs": 3,
            "only": ["web-*", "$HOME"],
            "skip": "base",
            "shard": "1/2",
            "failFast": True,
            "resume": True,
            "args": ["--rootfs", "chroot"],
        }
    },
    "here": {"options": {"container": ""}},
    "elsewhere": {"options": {"reportDir": "out", "container": "builder"}},
    "typing error": {"options": {"jbos": 2}},
    "a build failed": {"options": {}, "status": 1},
    "a push failed": {"options": {}, "status": 3},
    "temporary": {"options": {}, "status": 75},
    "unknown status": {"options": {}, "status": 9},
    "aborted": {"options": {}, "abort": True},
    "plain": {"file": "Jenkinsfile.example"},
    "plain that fails": {"file": "Jenkinsfile.example", "status": 1},
    "library": {"file": "Jenkinsfile.library.example"},
    "real": {"file": "Jenkinsfile.example"},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Scenario → what came of it, with the folder it ran in as `workspace`."""
    folder = tmp_path_factory.mktemp("jenkins")
    scenarios = []
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        workspace, path = folder / f"{number}" / "workspace", folder / f"{number}" / "bin"
        workspace.mkdir(parents=True)
        path.mkdir()
        (path / "krunner").write_text(FAKE.format(status=scenario.get("status", 0)))
        (path / "krunner").chmod(0o755)
        scenarios.append({**scenario, "name": name, "workspace": str(workspace), "path": str(path)})
    real = scenarios[-1]
    real["path"] = str(ROOT / ".venv/bin")
    (Path(real["workspace"]) / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    (Path(real["workspace"]) / "builds.yaml").write_text("version: 1\nbuilds: [{name: web, no_push: true}]\n")
    done = subprocess.run(
        ["groovy", "-cp", str(HERE), str(HERE / "harness.groovy"), str(JENKINS)],
        input=json.dumps(scenarios),
        env={**os.environ, "KRUNNER_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads(done.stdout.splitlines()[-1])
    return {scenario["name"]: {**scenario, **outcomes[scenario["name"]]} for scenario in scenarios}


def words(outcome):
    return (Path(outcome["workspace"]) / "argv").read_text().splitlines()


def test_the_step_builds_publishes_and_gives_what_was_pushed(ran):
    outcome = ran["defaults"]
    assert words(outcome) == ["build", "--report-dir", "krunner-report", "builds.yaml"]
    assert [call[0] for call in outcome["calls"]] == ["container", "sh", "junit", "archiveArtifacts"]
    assert outcome["calls"][0] == ["container", "krunner"]
    assert outcome["calls"][2:] == PUBLISHED
    assert (outcome["result"], outcome["error"]) == (["registry.example/web:1@sha256:0"], None)


def test_every_option_reaches_krunner_through_the_shell(ran):
    assert words(ran["all options"]) == [
        *["build", "--report-dir", "krunner-report", "--jobs", "3"],
        *["--only", "web-*", "--only", "$HOME", "--skip", "base", "--shard", "1/2", "--fail-fast", "--resume"],
        *["--rootfs", "chroot", "it's here.yaml"],
    ]


def test_where_it_runs(ran):
    assert ran["here"]["calls"][0][0] == "sh"
    outcome = ran["elsewhere"]
    assert outcome["calls"][0] == ["container", "builder"]
    assert outcome["calls"][2][1]["testResults"] == "out/junit.xml"
    assert outcome["result"] == []


def test_an_unknown_option_is_refused_before_anything_runs(ran):
    outcome = ran["typing error"]
    assert outcome["calls"] == []
    assert outcome["error"].startswith("krunner: there is no option 'jbos'; there are file, container,")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a build failed", "krunner ended with status 1: a build failed"),
        ("a push failed", "krunner ended with status 3: all built, but a push failed"),
        ("temporary", "krunner ended with status 75: failures that may pass: run it again"),
        ("unknown status", "krunner ended with status 9: see the log"),
        ("aborted", "aborted"),
    ],
)
def test_a_failure_is_told_after_the_reports_are_published(ran, name, message):
    assert ran[name]["error"] == message
    assert ran[name]["calls"][-2:] == PUBLISHED


@pytest.mark.parametrize("name", ["plain", "plain that fails"])
def test_the_plain_jenkinsfile(ran, name):
    outcome = ran[name]
    assert ["sh", "krunner builds.yaml"] in outcome["calls"]
    assert words(outcome) == ["builds.yaml"]
    assert outcome["calls"][-2:] == PUBLISHED
    assert outcome["error"] == (None if name == "plain" else "script returned exit code 1")


def test_the_jenkinsfile_of_the_library(ran):
    outcome = ran["library"]
    assert outcome["error"] is None
    assert words(outcome) == ["build", "--report-dir", "krunner-report", "builds.yaml"]
    (pod,) = [call[1] for call in outcome["calls"] if call[0] == "yaml"]
    assert pod == (JENKINS / "resources/krunner/pod.yaml").read_text()


def test_the_plain_jenkinsfile_with_krunner_itself(ran):
    outcome = ran["real"]
    log = (Path(outcome["workspace"]) / "sh.log").read_text()
    assert outcome["error"] is None, log
    assert "1 image in" in log
    assert (Path(outcome["workspace"]) / "krunner-report/junit.xml").is_file()


def test_the_pod_keeps_its_container_alive():
    pod = yaml.safe_load((JENKINS / "resources/krunner/pod.yaml").read_text())
    (container,) = pod["spec"]["containers"]
    assert (container["name"], container["command"], container["args"]) == ("krunner", ["/busybox/sleep"], ["99d"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/kaniko/store", "/kaniko/.docker"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["spec"]["volumes"]
    }


def test_the_help_names_every_option(ran):
    known = ran["typing error"]["error"].partition("there are ")[2].split(", ")
    text = (JENKINS / "vars/krunner.txt").read_text()
    assert [name for name in known if name not in text] == []
