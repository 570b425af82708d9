"""The console on a real terminal (tmux): the status at the lower edge, resizing, Ctrl-C, dumb ones, colours."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.report.tmux import Window

PROGRAM = Path(__file__).parents[2] / "tests" / "support" / "fake_krunner.py"


class Project:
    """A folder with builds.yaml. Images: name → what it does."""

    window: Window

    def __init__(self, folder: Path, images: dict[str, str]):
        self.folder = folder
        lines = ["version: 1", "builds:"]
        for name, action in images.items():
            (folder / name).mkdir()
            (folder / name / "Dockerfile").write_text("FROM scratch\n")
            lines.append(f"  - {{name: {name}, context: {name}, no_push: true, args: {{DO: {action}}}}}")
        (folder / "builds.yaml").write_text("\n".join(lines) + "\n")

    def start(self, *options: str, **variables: str) -> None:
        """Run krunner in a window of 80 by 24, and say its status when it has ended."""
        unset = ["-u", "CI", "-u", "GITLAB_CI", "-u", "GITHUB_ACTIONS", "-u", "NO_COLOR", "-u", "JENKINS_URL"]
        given = [f"{name}={value}" for name, value in {"PYTHONPATH": str(PROGRAM.parents[2]), **variables}.items()]
        words = ["env", *unset, *given, sys.executable, str(PROGRAM), "build", "builds.yaml", *options]
        shell = f"trap : INT; {shlex.join(words)}; echo ended with $?; sleep 60"
        self.window = Window(self.folder, shell, columns=80, lines=24)


@pytest.fixture
def project(tmp_path) -> Iterator[Project]:
    made = Project(tmp_path, {"quick": "ok", "slow": "sleep 60", "next": "ok"})
    yield made
    made.window.close()


def test_the_status_stays_below_the_log_and_goes_at_the_end(project):
    project.start()
    rows = project.window.until("1 of 3 done, 1 in progress").splitlines()
    shown = [row for row in rows if row]
    assert shown[-1].startswith("1 of 3 done, 1 in progress, ")
    assert shown[-2].startswith("slow  starting")
    assert shown[-3] == "slow  | image 2 of 3"
    project.window.until("1 of 3 done, 1 in progress, 2")  # its clock goes on
    project.window.tmux("resize-window", "-x", "50", "-y", "20")
    time.sleep(1.5)
    assert project.window.screen().count("in progress") == 1
    project.window.keys("C-c")
    end = project.window.until("ended with 130")
    assert "in progress" not in end
    assert end.count("slow  | image 2 of 3") == 1
    assert "3 images in" in end


@pytest.mark.parametrize(
    ("options", "variables"),
    [((), {"TERM": "dumb"}), (("--log-format=text",), {}), ((), {"CI": "true"})],
    ids=["dumb", "text", "CI"],
)
def test_where_lines_are_wanted_there_is_no_status(project, options, variables):
    project.start("--skip", "slow", *options, **variables)
    screen = project.window.until("ended with 0")
    assert "quick | built in" in screen
    assert not any("in progress" in line for line in screen.splitlines())


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours(project, variables, coloured):
    project.start("--skip", "slow", **variables)
    project.window.until("ended with 0")
    assert ("\x1b[" in project.window.screen(colours=True)) is coloured


def test_it_is_shown_on_a_terminal_only(tmp_path):
    made = Project(tmp_path, {"quick": "ok"})
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2]), "TERM": "xterm"}
    words = [sys.executable, str(PROGRAM), "build", "builds.yaml"]
    done = subprocess.run(words, cwd=made.folder, env=environment, capture_output=True, text=True, check=True)
    assert "\x1b[" not in done.stderr
    assert "in progress" not in done.stderr
