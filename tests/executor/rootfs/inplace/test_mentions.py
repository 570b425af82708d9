"""Commands that speak of directories which only the container has."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.rootfs.base import RunRequest, TmpfsMount
from executor.rootfs.inplace.mentions import mentioned, walks_everything

STAYS = ("/builds/team/app", "/home/jenkins/agent", "/run/secrets/cluster", "/workspace")


@pytest.fixture
def tree(tmp_path: Path) -> str:
    for name in ("home", "run", "tmp"):
        (tmp_path / name).mkdir()
    return str(tmp_path)


def found(tree: str, script: str, **environment: str) -> str:
    return mentioned(tree, STAYS, RunRequest(argv=("/bin/sh", "-c", script), environment=environment))


@pytest.mark.parametrize(
    ("script", "path"),
    [
        ("mkdir /workspace && cd /workspace", "/workspace"),
        ("export PATH=/bin:/workspace/bin", "/workspace"),
        ("ls '/builds'", "/builds"),
        ("useradd -m jenkins", "/home/jenkins"),
        ("useradd -d /home/jenkins -m ci", "/home/jenkins"),
        ("chown -R jenkins: /opt", "/home/jenkins"),
        ("cat /run/secrets/token", "/run/secrets"),
        ("cd /src/workspace; ls $HOME/workspace ${HOME}/workspace /workspaces /workspace-2 ./builds", ""),
        ("make builds workspace; curl https://ci.example/job/jenkins/x jenkins.example my-jenkins", ""),
        ("ls /home /tmp", ""),
    ],
)
def test_paths_and_users_in_a_script(tree: str, script: str, path: str) -> None:
    assert found(tree, script) == path


def test_what_variables_and_heredocs_say(tree: str) -> None:
    assert found(tree, "mkdir ~/x", HOME="/home/jenkins") == "/home/jenkins"
    assert found(tree, 'useradd -m "$user"', user="jenkins") == "/home/jenkins"
    assert found(tree, "make", URL="http://jenkins/", CI_PROJECT_DIR="/builds/team/app") == ""
    request = RunRequest(argv=("/dev/pipes/EOF",), environment={}, scripts={"/dev/pipes/EOF": b"ls /workspace\n"})
    assert mentioned(tree, STAYS, request) == "/workspace"


def test_what_the_tree_has_is_not_the_containers_alone(tree: str) -> None:
    (Path(tree) / "workspace").mkdir()
    assert found(tree, "ls /workspace") == ""
    (Path(tree) / "home/jenkins").mkdir()
    assert found(tree, "useradd -m jenkins; ls /home/jenkins/x") == ""
    assert found(tree, "ls /home/jenkins/agent") == "/home/jenkins/agent"


def test_a_mount_of_the_command_is_its_own(tree: str) -> None:
    mount = TmpfsMount(target="/run/secrets/token")
    request = RunRequest(argv=("cat", "/run/secrets/token"), environment={}, mounts=(mount,))
    assert mentioned(tree, STAYS, request) == ""


@pytest.mark.parametrize(
    ("script", "walks"),
    [
        ("set -e; find / -xdev -name '*.pyc' -delete", True),
        ("find -H / -perm /6000", True),
        ("find /usr -name test; find . / -x; myfind / -delete; ls /; find /$x -delete", False),
    ],
)
def test_commands_that_go_through_everything(script: str, walks: bool) -> None:
    assert walks_everything(RunRequest(argv=("/bin/sh", "-c", script), environment={})) == walks
