"""The project's own images in real containers, with no more than Docker gives by default."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from integration.debugimage import twenty
from integration.support import bases, krunner_image
from integration.support.builders import Docker
from integration.support.container import Exec, started
from integration.support.images import StoredImage, read_layout
from integration.support.outside import differences
from integration.support.programs import ProgramError, run, wait_until
from integration.support.registries import RegistryServer

_KANIKO_DEBUG_IMAGE = 25_000_000
_FILES = 300
_PYTHON = "/kaniko/python/bin/python3.11"

# Everything that a build can need, then what of it does not come from the image's own folder.
_LOAD_ALL = """
import bz2, ctypes, hashlib, lzma, ssl
import isal.isal_zlib, jsonschema, requests, yaml, zstandard
import runner.cli
from executor.build import worker
from executor.registry.tls import tls_context
from executor.spec import RegistryOptions
worker.preload()
for line in open("/proc/self/maps"):
    path = line.split()[-1]
    if path.startswith("/") and not path.startswith("/kaniko/"):
        print("foreign:", path)
print("authorities:", len(tls_context("example.com", RegistryOptions(), verify=True).get_ca_certs()) > 100)
"""


@pytest.fixture
def workspace(work: Path, request: pytest.FixtureRequest) -> Path:
    """A folder to mount as /workspace."""
    folder = work / "workspaces" / request.node.name
    folder.mkdir(parents=True)
    return folder


def in_container(docker: Docker, *words: str | Path, image: str = "debug", options: tuple[str, ...] = ()) -> str:
    """Run a command in a new container of default capabilities; what it printed on standard output."""
    return docker.run(
        "run", "--rm", "--network=host", *options, f"--entrypoint={words[0]}", f"krunner:{image}", *words[1:]
    )


def test_programs_start(krunner_images: Docker) -> None:
    assert in_container(krunner_images, "krunner", "version").startswith("krunner ")
    assert krunner_images.run("run", "--rm", "krunner:slim", "--help").startswith("Usage: executor ")
    assert in_container(krunner_images, "/bin/sh", "-c", "pwd; which ls sed awk vi").split() == [
        *("/workspace", "/busybox/ls", "/busybox/sed", "/busybox/awk", "/busybox/vi"),
    ]


def test_a_step_of_jenkins_runs(krunner_images: Docker, base_host: str, workspace: Path) -> None:
    """As its plugins start it: by nohup, in the background, with no output of its own."""
    (workspace / "Dockerfile").write_text(f"FROM {base_host}/busybox\nRUN echo x > /x\n")
    (workspace / "script.sh").write_text("executor --context=. --insecure-pull --no-push\nid -u\n")
    step = "sh -xe script.sh > log.txt 2>&1; echo $? > result.tmp; mv result.tmp result.txt"
    with started(krunner_images, workspace, init=False) as container:
        begun = container.run("nohup", "sh", "-c", f"({step}) >&- 2>&- &")
        assert begun == Exec(status=0, output="")
        wait_until((workspace / "result.txt").exists, "the end of the step", seconds=60)
    assert (workspace / "result.txt").read_text() == "0\n", (workspace / "log.txt").read_text()
    assert (workspace / "log.txt").read_text().endswith("+ id -u\n0\n")


def test_slim_has_no_shell(krunner_images: Docker) -> None:
    with pytest.raises(ProgramError, match="no such file"):
        in_container(krunner_images, "/bin/sh", "-c", "true", image="slim")


def test_configuration_is_as_pipelines_for_kaniko_expect_it(krunner_images: Docker) -> None:
    (image,) = json.loads(krunner_images.run("image", "inspect", "krunner:debug"))
    config = image["Config"]
    assert config["Entrypoint"] == ["/kaniko/executor"]
    assert config["WorkingDir"] == "/workspace"
    assert {
        "PATH=/usr/local/bin:/kaniko:/busybox",
        "SSL_CERT_DIR=/kaniko/ssl/certs",
        "DOCKER_CONFIG=/kaniko/.docker",
    } <= set(config["Env"])


def test_images_are_small() -> None:
    for archive in krunner_image.archives().iterdir():
        assert archive.stat().st_size < _KANIKO_DEBUG_IMAGE


def test_modules_are_in_one_file(krunner_images: Docker) -> None:
    """Every file of the container is looked at before and after each command in place."""
    found = in_container(krunner_images, "/busybox/find", "/kaniko", "-type", "f").split()
    assert len(found) <= _FILES, found
    names = {Path(path).name for path in found if path.endswith(".pyc")}
    assert names <= {
        *("__future__.pyc", "__init__.pyc", "aliases.pyc", "ascii.pyc", "latin_1.pyc", "utf_8.pyc"),
        *("modulefile.pyc", "sitecustomize.pyc", "warnings.pyc"),
    }


def test_nothing_else_is_in_the_root(krunner_images: Docker, workspace: Path) -> None:
    container = krunner_images.run("create", "krunner:debug").strip()
    try:
        krunner_images.run("export", "--output", workspace / "root.tar", container)
    finally:
        krunner_images.run("rm", container)
    with tarfile.open(workspace / "root.tar") as archive:
        top = {name.partition("/")[0] for name in archive.getnames()}
    made_by_docker = {".dockerenv", "dev", "etc", "proc", "sys"}
    assert top - made_by_docker == {"bin", "busybox", "kaniko", "workspace"}


def test_the_interpreter_is_self_contained(krunner_images: Docker) -> None:
    printed = in_container(krunner_images, _PYTHON, "-IXutf8", "-c", _LOAD_ALL)
    assert printed.splitlines() == ["authorities: True"]


def test_python_settings_of_the_environment_do_not_count(krunner_images: Docker) -> None:
    hostile = ("--env=PYTHONHOME=/nowhere", "--env=PYTHONPATH=/workspace", "--env=PYTHONHASHSEED=x")
    assert in_container(krunner_images, "krunner", "version", options=hostile).startswith("krunner ")


_LIST = """
version: 1
defaults: {{insecure: true}}
builds:
  - {{name: tool, context: tool, destinations: ["{host}/debug/tool:1"]}}
  - {{name: first, context: first, destinations: ["{host}/debug/first:1"]}}
  - {{name: files, context: files, destinations: ["{host}/debug/files:1"]}}
"""


def test_a_list_is_built_and_pushed(
    krunner_images: Docker, registry: RegistryServer, base_host: str, debian_host: str, workspace: Path
) -> None:
    first = ("RUN id app > /app", "USER app", "RUN id -un > /tmp/me")
    dockerfiles = {
        "first": (f"FROM {base_host}/busybox", *first),
        "tool": (f"FROM {registry.host}/debug/first:1", "USER root", "RUN cat /app /tmp/me > /both"),
        "files": (
            *(f"FROM {debian_host}/debian AS make", "RUN apt-get --version > /out"),
            *("FROM scratch", "COPY --from=make /out /"),
        ),
    }
    for name, lines in dockerfiles.items():
        (workspace / name).mkdir()
        (workspace / name / "Dockerfile").write_text("\n".join(lines))
    (workspace / "builds.yaml").write_text(_LIST.format(host=registry.host))
    script = "krunner builds.yaml && ls -A / /kaniko/store/work /kaniko/tmp"
    printed = in_container(krunner_images, "sh", "-c", script, options=(f"--volume={workspace}:/workspace",))
    assert "3 images" in printed
    assert printed.partition("\n/:\n")[2].split() == [
        *(".dockerenv", "bin", "busybox", "dev", "etc", "kaniko", "proc", "sys", "workspace"),
        *("/kaniko/store/work:", "/kaniko/tmp:"),
    ]
    tool = pulled(registry, "debug/tool:1", workspace)
    assert file_of(tool, "both").split()[-1] == b"app"
    assert file_of(pulled(registry, "debug/files:1", workspace), "out").startswith(b"apt ")


def test_overlay_is_refused_with_its_reason(krunner_images: Docker, base_host: str, workspace: Path) -> None:
    (workspace / "Dockerfile").write_text(f"FROM {base_host}/busybox\nRUN true\n")
    words = ["executor", "--context=/workspace", "--no-push", "--insecure-pull", "--rootfs=overlay"]
    with pytest.raises(ProgramError) as caught:
        in_container(krunner_images, *words, options=(f"--volume={workspace}:/workspace",))
    assert "ended with 4\n" in str(caught.value)
    assert "overlay: CAP_SYS_ADMIN is missing, and the seccomp profile forbids user namespaces" in str(
        caught.value
    )
    assert "CAP_SYS_ADMIN" in str(caught.value)


def test_the_image_builds_itself(
    krunner_images: Docker, registry: RegistryServer, base_host: str, debian_host: str, workspace: Path
) -> None:
    assert base_host == debian_host
    bases.push_archive(bases.toolbox_archive(), registry.host)
    for name in (".dockerignore", "Dockerfile", "builds.yaml"):
        shutil.copyfile(krunner_image.ROOT / name, workspace / name)
    for name in ("packaging", "scripts", "dist/wheels"):
        shutil.copytree(krunner_image.ROOT / name, workspace / name)
    environment = (f"--env=IMAGE_BASE={registry.host}/toolbox:latest", "--env=IMAGE_BASE_INSECURE=true")
    in_container(
        krunner_images,
        "krunner",
        "--only=debug",
        "builds.yaml",
        options=(f"--volume={workspace}:/workspace", *environment),
    )
    krunner_images.run("tag", "krunner:debug", "krunner:outer")
    krunner_images.load(workspace / "dist" / "krunner-debug.tar")
    try:
        assert in_container(krunner_images, _PYTHON, "-IXutf8", "-c", _LOAD_ALL) == "authorities: True\n"
        session = twenty.build_in_place(krunner_images, workspace.with_name("by-itself"), base_host)
        assert session.ends == {image.name: image.ends for image in twenty.IMAGES}, session.output
        for seen in (*session.before.values(), session.after):
            assert differences(seen, session.before[""]) == {}
    finally:
        krunner_images.run("tag", "krunner:outer", "krunner:debug")


def pulled(registry: RegistryServer, name: str, folder: Path) -> StoredImage:
    """An image of the registry, fetched by skopeo."""
    layout = folder / "pulled" / name.replace(":", "-")
    layout.parent.mkdir(parents=True, exist_ok=True)
    run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            f"docker://{registry.host}/{name}",
            f"oci:{layout}:it",
        ]
    )
    return read_layout(layout)


def file_of(image: StoredImage, name: str) -> bytes:
    """The content of a file that the topmost layer has."""
    with image.open_layer(len(image.layers) - 1) as archive:
        content = archive.extractfile(name)
        assert content is not None
        return content.read()
