"""Whole builds, with each driver: outputs, order, what is not done, what two builds share."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from integration.support.builders import Executor
from integration.support.flatten import flatten
from integration.support.images import StoredImage, read_docker_archive, read_layout
from integration.support.programs import ProgramError, run
from integration.support.registries import RegistryServer


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "file").write_text("content")
    return folder


class Build:
    """Runs the executor in a context and keeps what it logged."""

    def __init__(self, executor: Executor, context: Path) -> None:
        self.executor, self.context = executor, context
        self.log: list[dict[str, object]] = []

    def __call__(self, dockerfile: str, *flags: str | Path, env: dict[str, str] | None = None) -> None:
        (self.context / "Dockerfile").write_text(dockerfile.replace("registry.test", self.executor.registry))
        words = [f"--context={self.context}", "--log-format=json", *flags]
        environment = {**os.environ, "KRUNNER_HOME": str(self.executor.home), **(env or {})}
        done = subprocess.run(
            self.executor.argv(*words), env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        self.log = [json.loads(line) for line in done.stderr.splitlines()]
        if done.returncode:
            raise ProgramError(f"status {done.returncode}: {self.log[-1]['message']}")

    def image(self, dockerfile: str, *flags: str | Path, env: dict[str, str] | None = None) -> StoredImage:
        layout = self.context.parent / f"layout-{len(list(self.context.parent.iterdir()))}"
        self(dockerfile, "--no-push", f"--oci-layout-path={layout}", *flags, env=env)
        return read_layout(layout)

    def events(self, kind: str) -> list[dict[str, object]]:
        return [event for event in self.log if event["type"] == kind]


@pytest.fixture
def build(executor: Executor, context: Path) -> Build:
    return Build(executor, context)


BASE = "FROM registry.test/busybox\n"


def test_metadata_alone_needs_no_root_and_no_layer(build: Build) -> None:
    image = build.image(f"{BASE}ENV A=1\nLABEL b=2\nCMD x\n", "--label=c=3")
    assert build.events("DriverChosen") == []
    assert image.config["config"]["Labels"] == {"b": "2", "c": "3"}
    assert image.config["history"][-1]["empty_layer"]


def test_unneeded_stages_are_not_built(build: Build) -> None:
    build.image(f"{BASE}RUN exit 1\n{BASE}RUN true\n")
    assert len(build.events("StageStarted")) == 1


def test_onbuild_runs_with_its_copy_from_a_stage(build: Build) -> None:
    host = build.executor.registry
    build(
        f'{BASE}ONBUILD COPY --from=helper /made /from-trigger\nONBUILD RUN echo "$0" > /ran\n',
        f"-d={host}/trigger",
    )
    image = build.image(
        f"{BASE[:-1]} AS helper\nRUN echo helped > /made\nFROM registry.test/trigger\nRUN test -e /ran\n"
    )
    assert {"/from-trigger", "/ran"} <= set(flatten(image))
    assert "OnBuild" not in {key for key, value in image.config["config"].items() if value}


def test_single_snapshot_makes_one_layer(build: Build) -> None:
    text = f"{BASE}RUN echo 1 > /one\nRUN echo 2 > /two && rm /one\nENV A=1\n"
    many, one = build.image(text), build.image(text, "--single-snapshot")
    assert len(many.layers) == len(one.layers) + 1
    assert set(flatten(many)) == set(flatten(one))
    assert sum(not entry.get("empty_layer") for entry in one.config["history"]) == len(one.layers)


def test_reproducible_builds_have_one_digest(build: Build, tmp_path: Path) -> None:
    text = f"{BASE}RUN date +%N > /tmp/x && rm /tmp/x && echo x > /file\nCOPY file /copied\nWORKDIR /made\n"
    digests = []
    for number in (1, 2):
        (build.context / "file").touch()
        digest_file = tmp_path / f"digest-{number}"
        build(text, "--no-push", "--reproducible", f"--digest-file={digest_file}")
        digests.append(digest_file.read_text())
    assert digests[0] == digests[1]
    image = build.image(text, "--reproducible", env={"SOURCE_DATE_EPOCH": "1000000000"})
    assert image.config["created"] == "2001-09-09T01:46:40Z"
    assert flatten(image)["/file"].mtime == 1000000000


def test_every_output_holds_the_same_image(build: Build, tmp_path: Path, registry: RegistryServer) -> None:
    names = [f"{registry.host}/outputs:{build.executor.driver}", f"{registry.host}/outputs/other:2"]
    digest_file, name_file, tag_file = tmp_path / "d", tmp_path / "n", tmp_path / "deep" / "t"
    build(
        f"{BASE}RUN echo x > /x\n",
        *(f"--destination={name}" for name in names),
        f"--digest-file={digest_file}",
        f"--image-name-with-digest-file={name_file}",
        f"--image-name-tag-with-digest-file={tag_file}",
        f"--tar-path={tmp_path / 'image.tar'}",
        f"--oci-layout-path={tmp_path / 'layout'}",
    )
    digest = digest_file.read_text()
    assert name_file.read_text() == "".join(f"{name.rpartition(':')[0]}@{digest}\n" for name in names)
    assert tag_file.read_text() == "".join(f"{name}@{digest}\n" for name in names)
    expected = flatten(read_layout(tmp_path / "layout"))
    assert flatten(read_docker_archive(tmp_path / "image.tar")) == expected
    for number, name in enumerate(names):
        seen = json.loads(run(["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"]))
        assert seen["Digest"] == digest
        run(
            [
                "skopeo",
                "copy",
                "--quiet",
                "--src-tls-verify=false",
                f"docker://{name}",
                f"oci:{tmp_path}/back{number}:x",
            ]
        )
        assert flatten(read_layout(tmp_path / f"back{number}")) == expected
    first, second = build.events("PushFinished")
    assert first["sent"]
    assert second["sent"] == 0, "a second repository of the registry mounts or finds what the first has"


def test_umoci_accepts_the_layout(build: Build, tmp_path: Path) -> None:
    build(f"{BASE}RUN echo x > /x\n", "--no-push", "-d=name:tag", f"--oci-layout-path={tmp_path / 'layout'}")
    run(["umoci", "unpack", "--image", f"{tmp_path / 'layout'}:tag", tmp_path / "bundle"])
    assert (tmp_path / "bundle" / "rootfs" / "x").read_text() == "x\n"


def test_base_layers_are_mounted_not_sent(build: Build, registry: RegistryServer) -> None:
    build(f"{BASE}RUN echo {build.executor.driver} > /x\n", f"-d={registry.host}/mounted/{build.executor.driver}")
    (push,) = build.events("PushFinished")
    assert push["sent"] == 2, "the new layer and the configuration"
    assert push["mounted"] == 1, "the layer of the base"


def test_a_failing_run_stops_with_its_status_and_its_words(build: Build) -> None:
    with pytest.raises(ProgramError) as caught:
        build(f"{BASE}RUN echo last words; exit 42\n", "--no-push")
    assert "status 42" in str(caught.value)
    assert "last words" in str(caught.value)


def test_ignored_paths_stay_out_of_layers(build: Build) -> None:
    image = build.image(
        f"{BASE}RUN mkdir -p /secret/a && echo > /secret/a/b && echo > /kept\n", "--ignore-path=/secret"
    )
    assert "/kept" in flatten(image)
    assert not [path for path in flatten(image) if path.startswith("/secret")]


def test_unused_build_arguments_are_told(build: Build) -> None:
    build(f"{BASE}ARG A\n", "--no-push", "--build-arg=A=1", "--build-arg=B=2", "--build-arg=HTTP_PROXY=x")
    assert [event["message"] for event in build.events("Warned")] == ["build arguments that no ARG declares: B"]


def test_proxies_reach_commands_and_leave_no_trace(build: Build) -> None:
    image = build.image(f"{BASE}RUN echo $http_proxy > /seen\n", "--build-arg=http_proxy=http://user:pass@proxy")
    assert flatten(image)["/seen"].size == len("http://user:pass@proxy\n")
    assert "pass@proxy" not in json.dumps(image.config)


def test_annotations_are_written_on_the_manifest(build: Build) -> None:
    image = build.image("FROM scratch\nENV A=1\n", "--annotation=a=1", "--annotation=manifest:b=2")
    assert image.manifest["annotations"] == {"a": "1", "b": "2"}


def test_custom_platform_is_recorded(build: Build) -> None:
    image = build.image("FROM scratch\nENV A=1\n", "--custom-platform=linux/arm/v7")
    assert (image.config["architecture"], image.config["variant"]) == ("arm", "v7")
