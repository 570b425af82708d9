"""Nothing that a builder needs after an image had `/` comes from outside of /kaniko, and no module from a disk.

Builds run under `support/sealed_entry.py`, an audit hook that makes any such thing an error.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.support import registries
from integration.support.builders import Docker
from integration.support.container import Container, Exec, started
from integration.support.programs import free_port, stop, wait_until
from integration.support.registries import RegistryServer, TlsFiles
from tests.support.fake_web import Page, Web, make_repository, serve_web

_ENTRY = Path(__file__).parents[1] / "support" / "sealed_entry.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A container whose programs run under the hook, and the folder it writes to."""

    container: Container
    folder: Path

    def build(self, *lines: str, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Exec:
        """Build a Dockerfile of these lines in place, and see that nothing forbidden happened."""
        return self.run(*self.words(*lines), *options, env=env)

    def words(self, *lines: str) -> tuple[str, ...]:
        """The command line for that."""
        (self.container.workspace / "Dockerfile").write_text("\n".join(lines))
        program = ("/sealed/executor", "--rootfs=in-place", "--context=/workspace")
        return (*program, "--insecure", "--insecure-pull", "--no-push")

    def run(self, *words: str, env: Mapping[str, str] | None = None, builds: int = 1) -> Exec:
        """Run a command; `builds` processes of it have an image in `/` for a time."""
        done = self.container.run(*words, env=env)
        assert self.said() == "sealed\n" * builds, done.output
        return done

    def said(self) -> str:
        """What the hook wrote, which is then forgotten."""
        log = self.folder / "violations"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text


@pytest.fixture(scope="module")
def watched(krunner_images: Docker, work: Path) -> Iterator[Watched]:
    """One container for all tests."""
    workspace, folder = work / "sealed-workspace", work / "sealed"
    workspace.mkdir()
    folder.mkdir()
    for name in ("executor", "krunner", "unsealed"):
        shutil.copyfile(_ENTRY, folder / name)
        (folder / name).chmod(0o755)
    with started(krunner_images, workspace, f"--volume={folder}:/sealed") as container:
        yield Watched(container=container, folder=folder)


def test_the_hook_sees_what_it_is_for(watched: Watched, base_host: str) -> None:
    """A control: without sealing a late import is found."""
    _, *options = watched.words(f"FROM {base_host}/busybox", "RUN touch /x")
    watched.container.run("/sealed/unsealed", *options, "--compression=zstd")
    assert "late import of zstandard" in watched.said()


def test_users_scripts_and_compressed_layers(watched: Watched, registry: RegistryServer, base_host: str) -> None:
    (watched.container.workspace / "file").write_text("x")
    middle = f"{registry.host}/sealed/middle:1"
    pushed = tuple(option for option in watched.words() if option != "--no-push")
    (watched.container.workspace / "Dockerfile").write_text(f"FROM {base_host}/busybox\nRUN echo 1 > /layer\n")
    done = watched.run(*pushed, f"--destination={middle}", "--compression=zstd")
    assert done.status == 0, done.output
    done = watched.build(
        f"FROM {middle}",
        "RUN test -e /layer && id app",
        "COPY --chown=app:app file /home/app/file",
        "ADD --chown=12:34 file /other",
        "USER app",
        "WORKDIR /home/app/deep",
        "RUN <<EOF",
        "#!/bin/sh",
        "id -un > me",
        "EOF",
        "SHELL [\"/bin/sh\", \"-ec\"]",
        "RUN --mount=type=cache,target=/home/app/cache --mount=type=bind,source=file,target=/b test -s /b",
        "FROM scratch",
        "COPY --from=0 /home/app /home/app",
        options=("--reproducible", "--tar-path=/workspace/image.tar"),
    )  # fmt: skip
    assert done.status == 0, done.output


def test_a_failing_command_a_missing_one_and_a_missing_file(watched: Watched, base_host: str) -> None:
    busybox = f"FROM {base_host}/busybox"
    assert watched.build(busybox, "RUN true", "RUN exit 7").status == 7
    assert "not found in $PATH" in watched.build(busybox, "RUN true", 'RUN ["nothing-such"]').output
    assert watched.run(*watched.words(busybox, "RUN true", "COPY nothing-such /"), builds=0).status == 1
    assert watched.build(busybox, "RUN true", "USER nobody-such", "RUN true").status == 1


def test_pushes_by_tls_with_a_password_and_again(
    watched: Watched, tls_registry: RegistryServer, locked_registry: RegistryServer, tls: TlsFiles, base_host: str
) -> None:
    shutil.copyfile(tls.ca, watched.container.workspace / "ca.pem")
    auth = {"username": registries.USER, "password": registries.PASSWORD}
    words = tuple(
        word for word in watched.words(f"FROM {base_host}/busybox", "RUN echo 1 > /x") if word != "--no-push"
    )
    secure = tls_registry.host.replace("127.0.0.1", "localhost")
    goals = (f"--destination={secure}/sealed/app:1", f"--destination={locked_registry.host}/sealed/app:1")
    options = (f"--registry-certificate={secure}=/workspace/ca.pem", "--skip-push-permission-check")
    env = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {locked_registry.host: auth}})}
    done = watched.run(*words, *goals, *options, "--digest-file=/workspace/digest", env=env)
    assert done.status == 0, done.output
    nobody = f"--destination=127.0.0.1:{free_port()}/sealed/app:1"
    done = watched.run(*words, nobody, "--skip-push-permission-check", "--push-retry=1")
    assert done.status == 75, done.output


@pytest.fixture(scope="module")
def web(work: Path) -> Iterator[Web]:
    """A file and a repository."""
    with serve_web() as server:
        server.repositories = work / "sealed-repositories"
        server.repositories.mkdir()
        make_repository(server.repositories / "app.git", {"file": "content\n"})
        server.pages["/file"] = Page(b"content")
        yield server


def test_files_and_repositories_of_the_web_secrets_and_the_cache(
    watched: Watched, web: Web, registry: RegistryServer, base_host: str
) -> None:
    options = ("--secret=id=token,env=TOKEN", "--cache", f"--cache-repo={registry.host}/sealed/cache")
    for _ in range(2):
        done = watched.build(
            f"FROM {base_host}/busybox",
            "RUN --mount=type=secret,id=token,env=TOKEN test -n \"$TOKEN\" && date > /now",
            f"ADD {web.url}/file /file",
            f"ADD {web.url}/app.git /app",
            "ARG CACHEBUST",
            "RUN cat /proc/sys/kernel/random/uuid > /never-the-same",
            options=(*options, f"--build-arg=CACHEBUST={_}"),
            env={"TOKEN": "s3cret"},
        )  # fmt: skip
        assert done.status == 0, done.output
        assert "s3cret" not in done.output


def test_a_signal(watched: Watched, base_host: str) -> None:
    words = watched.words(f"FROM {base_host}/busybox", "RUN touch /started && sleep 1000")
    process = subprocess.Popen(watched.container.argv(*words), stdout=subprocess.DEVNULL)
    started = ("/busybox/test", "-e", "/started")
    try:
        wait_until(lambda: watched.container.run(*started).status == 0, "the command")
        watched.container.run(
            "/busybox/sh", "-c", "kill -TERM $(pidof executor | tr ' ' '\\n' | sort -n | head -1)"
        )
        assert process.wait(timeout=30) == 143
    finally:
        stop(process)
    assert watched.said() == "sealed\n"


def test_a_list(watched: Watched, registry: RegistryServer, base_host: str) -> None:
    lines = ["version: 1", "defaults: {insecure: true}", "builds:"]
    for number in range(3):
        folder = watched.container.workspace / f"image{number}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {base_host}/busybox\nRUN test {number} != 1\n")
        destination = f"{registry.host}/sealed/image{number}:1"
        lines.append(f"  - {{name: image{number}, context: image{number}, destinations: ['{destination}']}}")
    (watched.container.workspace / "builds.yaml").write_text("\n".join(lines))
    done = watched.run("/sealed/krunner", "--rootfs=in-place", "/workspace/builds.yaml", builds=3)
    assert done.status == 1
    assert "1 failed" in done.output
