"""The job of examples/gitlab, run as GitLab's runner runs it: its lines in one shell, then its reports read."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import junitparser
import pytest
import yaml

from integration.support.container import started
from integration.support.programs import run
from integration.support.registries import PASSWORD, USER, serve_registry

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "gitlab"


class Job:
    """A checkout of the example and the variables that GitLab gives its jobs."""

    def __init__(self, folder, host):
        self.checkout = folder / "checkout"
        shutil.copytree(EXAMPLE, self.checkout)
        self.jobs = yaml.safe_load((self.checkout / ".gitlab-ci.yml").read_text())
        self.variables = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_COMMIT_SHORT_SHA": "deadbeef",
            "CI_REGISTRY": host,
            "CI_REGISTRY_IMAGE": f"{host}/group/project",
            "CI_REGISTRY_USER": USER,
            "CI_REGISTRY_PASSWORD": PASSWORD,
            "DOCKER_CONFIG": str(folder / "docker"),
            "KRUNNER_HOME": str(folder / "home"),
            "INSECURE": "true",
            "HOME": str(folder),
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        }

    def lines(self, name):
        job = self.jobs[name]
        return "\n".join(["set -eo pipefail", *job.get("before_script", []), *job["script"], ""])

    def run(self, name):
        job, lines = self.jobs[name], self.lines(name)
        own = job.get("variables", {})
        given = {key: re.sub(r"\$(\w+)", lambda m: self.variables[m[1]], value) for key, value in own.items()}
        return subprocess.run(
            ["busybox", "sh", "-c", lines],
            cwd=self.checkout,
            env={**self.variables, **given},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def dotenv(self):
        """As GitLab reads the report: every line is a name and its value, nothing else may be there."""
        lines = (self.checkout / "krunner-report/images.env").read_text().splitlines()
        return dict(re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)=(\S+)", line).groups() for line in lines)


@pytest.fixture
def job(tmp_path):
    with serve_registry(tmp_path / "registry", password=True) as server:
        yield Job(tmp_path, server.host)


def test_the_job_pushes_and_reports(job):
    done = job.run("images")
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert re.findall(r"section_(start|end):\d+:(\w+)", done.stderr) == [
        ("start", "krunner_web"),
        ("end", "krunner_web"),
    ]

    image = f"{job.variables['CI_REGISTRY_IMAGE']}/web:deadbeef"
    inspect = ["skopeo", "inspect", "--tls-verify=false", "--creds", f"{USER}:{PASSWORD}"]
    digest = run([*inspect, "--format={{.Digest}}", f"docker://{image}"]).strip()
    assert job.dotenv() == {"WEB_IMAGE": f"{image}@{digest}", "WEB_DIGEST": digest}

    (suite,) = junitparser.JUnitXml.fromfile(str(job.checkout / "krunner-report/junit.xml"))
    assert [(case.name, case.is_passed) for case in suite] == [("web", True)]

    job.variables |= job.dotenv()
    assert job.run("deploy").stdout == f"deploying {image}@{digest}\n"


def test_a_job_that_fails_has_its_reports(job):
    (job.checkout / "web/Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
    done = job.run("images")
    assert done.returncode == 1
    (suite,) = junitparser.JUnitXml.fromfile(str(job.checkout / "krunner-report/junit.xml"))
    (case,) = suite
    assert (case.is_failure, suite.failures) == (True, 1)
    assert "nothing" in case.result[0].message
    assert job.dotenv() == {}


def test_the_job_in_a_container_of_the_image_as_the_runner_runs_it(tmp_path, krunner_images):
    """The runner gives the lines of the job to the container's /bin/sh on standard input."""
    with serve_registry(tmp_path / "registry", password=True) as server:
        job = Job(tmp_path, server.host)
        given = {
            key: value for key, value in job.variables.items() if key.startswith(("CI", "GITLAB", "INSECURE"))
        }
        own = {"VERSION": given["CI_COMMIT_SHORT_SHA"]}
        with started(krunner_images, job.checkout) as container:
            done = subprocess.run(
                container.interactive("/bin/sh", env={**given, **own}),
                input=job.lines("images"),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert "root filesystem: in-place" in (job.checkout / "krunner-report/logs/web.log").read_text()
        assert PASSWORD not in done.stdout + done.stderr
        assert re.findall(r"section_(start|end):\d+:(\w+)", done.stderr) == [
            ("start", "krunner_web"),
            ("end", "krunner_web"),
        ]
        assert set(job.dotenv()) == {"WEB_IMAGE", "WEB_DIGEST"}
        (suite,) = junitparser.JUnitXml.fromfile(str(job.checkout / "krunner-report/junit.xml"))
        assert [(case.name, case.is_passed) for case in suite] == [("web", True)]
