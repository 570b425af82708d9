"""Builds for several platforms: what is shared, what is pushed, what stands in the files that name digests."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from pathlib import Path
from typing import Any

import pytest

from integration.support import emulation
from integration.support.builders import Executor
from integration.support.flatten import flatten
from integration.support.images import StoredImage, read_image, read_index
from integration.support.programs import ProgramError, run
from integration.support.registries import RegistryServer

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="arm64 is to be the foreign platform")

BOTH = "--platform=linux/amd64,linux/arm64"
CROSS = """\
FROM --platform=$BUILDPLATFORM {base} AS tools
RUN echo tools >> /tools
FROM --platform=$BUILDPLATFORM {base} AS build
ARG TARGETPLATFORM
ARG TARGETARCH
COPY --from=tools /tools /tools
RUN echo "$TARGETPLATFORM" > /made && uname -m >> /made
FROM {base}
ARG TARGETARCH
ENV FOR=$TARGETARCH
COPY --from=build /made /tools /
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


def write(context: Path, text: str) -> str:
    (context / "Dockerfile").write_text(text)
    return f"--context={context}"


def by_platform(layout: Path) -> dict[str, StoredImage]:
    index = read_index(layout)
    return {
        "/".join(
            entry["platform"][key] for key in ("os", "architecture", "variant") if key in entry["platform"]
        ): read_image(layout, entry["digest"])
        for entry in index["manifests"]
    }


def test_one_index_of_what_each_platform_needs(executor: Executor, multibox: str, context: Path) -> None:
    layout = context.parent / "layout"
    flags = [write(context, CROSS.format(base=multibox)), "--no-push", f"--oci-layout-path={layout}", BOTH]
    log = executor_log(executor, *flags)
    images = by_platform(layout)
    assert set(images) == {"linux/amd64", "linux/arm64"}
    for name, image in images.items():
        tree = flatten(image)
        assert tree["/made"].sha256 == sha256(f"{name}\nx86_64\n")
        assert tree["/tools"].sha256 == sha256("tools\n")
        architecture = name.partition("/")[2]
        assert image.config["architecture"] == architecture
        assert f"FOR={architecture}" in image.config["config"]["Env"]
    # the stage that is the same for both ran once
    assert [event["instruction"] for event in log if event["type"] == "StepStarted"].count(
        "RUN echo tools >> /tools"
    ) == 1
    result = log[-1]["result"]
    assert [each["platform"] for each in result["manifests"]] == ["linux/amd64", "linux/arm64"]
    assert {each["digest"] for each in result["manifests"]} == {
        entry["digest"] for entry in read_index(layout)["manifests"]
    }


def test_an_index_is_pushed_with_its_annotations(
    overlay: Executor, multibox: str, registry: RegistryServer, context: Path
) -> None:
    target, digest_file = f"{registry.host}/multi:1", context.parent / "digest"
    log = executor_log(
        overlay,
        write(context, f"FROM {multibox}\nLABEL a=b\n"),
        BOTH,
        f"--destination={target}",
        f"--digest-file={digest_file}",
        "--annotation=index,manifest:org.example.on=both",
        "--annotation=manifest[linux/arm64]:org.example.on=arm",
        "--annotation=manifest-descriptor:org.example.entry=yes",
    )
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}"])
    index = json.loads(raw)
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert index["annotations"] == {"org.example.on": "both"}
    assert [entry["annotations"] for entry in index["manifests"]] == [{"org.example.entry": "yes"}] * 2
    assert log[-1]["result"]["digest"] == digest_file.read_text() == digest_of(target)
    for architecture, on in (("amd64", "both"), ("arm64", "arm")):
        words = ["skopeo", "inspect", "--override-arch", architecture, "--tls-verify=false"]
        image = json.loads(run([*words, f"docker://{target}"]))
        assert image["Architecture"] == architecture
        assert image["Labels"] == {"a": "b"}
        entry = next(each for each in index["manifests"] if each["platform"]["architecture"] == architecture)
        manifest = json.loads(registry.blob(entry["digest"]).read_bytes())
        assert manifest["annotations"] == {"org.example.on": on}


def test_variants_are_kept(overlay: Executor, context: Path) -> None:
    layout = context.parent / "layout"
    flags = ["--platform=linux/arm/v6,linux/arm", "--platform=linux/arm64/v8,amd64"]
    overlay.run(write(context, "FROM scratch\nENV A=1\n"), *flags, "--no-push", f"--oci-layout-path={layout}")
    assert list(by_platform(layout)) == ["linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/amd64"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--platform=linux/s390x"], "has no image for linux/s390x.*it has linux/amd64, linux/arm64"),
        ([BOTH, "--tar-path=x.tar"], "an archive holds one image"),
        (["--annotation=index:a=b"], "annotations of an index need several platforms"),
        ([BOTH, "--annotation=manifest[linux/s390x]:a=b"], "linux/s390x, which is not built"),
    ],
)
def test_what_cannot_be(overlay: Executor, multibox: str, context: Path, flags: list[str], message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        overlay.run(write(context, f"FROM {multibox}\nRUN true\n"), "--no-push", *flags)
    assert re.search(f"(?s){message}", str(caught.value))


def test_foreign_programs_run_where_an_emulator_is_registered(
    executor: Executor, multibox: str, context: Path
) -> None:
    layout = context.parent / "layout"
    flags = [
        write(context, f"FROM {multibox}\nRUN uname -m > /machine\n"),
        "--no-push",
        f"--oci-layout-path={layout}",
    ]
    with emulation.arm64_programs():
        executor.run(*flags, BOTH)
    machines = {name: flatten(image)["/machine"].sha256 for name, image in by_platform(layout).items()}
    assert machines == {"linux/amd64": sha256("x86_64\n"), "linux/arm64": sha256("aarch64\n")}


def test_without_an_emulator_the_error_says_so(executor: Executor, multibox: str, context: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        executor.run(write(context, f"FROM {multibox}\nRUN uname -m\n"), "--no-push", "--platform=linux/arm64")
    message = str(caught.value)
    assert "Dockerfile:2" in message
    assert "linux/arm64" in message
    assert "/proc/sys/fs/binfmt_misc" in message
    assert "FROM --platform=$BUILDPLATFORM" in message


def test_each_platform_has_its_own_cache(overlay: Executor, multibox: str, context: Path) -> None:
    flags = [
        write(context, CROSS.format(base=multibox)),
        "--no-push",
        BOTH,
        "--cache",
        f"--cache-repo=dir:{context.parent}/cache",
        "--cache-copy-layers",
    ]
    digests = []
    for expected in (False, True):
        log = executor_log(overlay, *flags)
        steps = [event for event in log if event["type"] == "StepFinished"]
        assert {step["cached"] for step in steps if step["instruction"].startswith("RUN")} == {expected}
        digests.append(sorted(step["layer_digest"] for step in steps))
    assert digests[0] == digests[1]


def executor_log(executor: Executor, *flags: str) -> list[dict[str, Any]]:
    words = ["sh", "-c", 'exec "$@" 2>&1', "sh", *executor.argv("--log-format=json", *flags)]
    environment = {"KRUNNER_HOME": str(executor.home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    return [json.loads(line) for line in run(words, env=environment).splitlines()]


def digest_of(target: str) -> str:
    raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}"])
    return f"sha256:{sha256(raw)}"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_one_platform_can_have_an_index_too(overlay: Executor, context: Path) -> None:
    layout = context.parent / "layout"
    flags = ["--build-arg=BUILDKIT_MULTI_PLATFORM=1", "--annotation=index:a=b", "--no-push"]
    overlay.run(write(context, "FROM scratch\nENV A=1\n"), *flags, f"--oci-layout-path={layout}")
    assert read_index(layout)["annotations"] == {"a": "b"}
    assert list(by_platform(layout)) == ["linux/amd64"]
