"""The pure plan, golden: a folder of tests/golden/plan holds a Dockerfile, perhaps `options`, and the plan's text.

`options` has lines `target NAME` and `arg NAME=VALUE`. After a wanted change: KRUNNER_UPDATE_GOLDEN=1 pytest …
"""

import os
from pathlib import Path

import pytest

from executor.build.plan import plan_build, platform_arguments, render
from executor.dockerfile.parser import parse
from executor.errors import InvalidFileError, NotSupportedError, UsageError
from executor.image.platform import Platform

GOLDEN = Path(__file__).parents[2] / "golden" / "plan"
AMD64 = Platform("linux", "amd64")


def plan(text, *, target="", platform=AMD64, **args):
    return plan_build(parse(text), target=target, build_args=args, platform=platform)


@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_golden(case):
    target, args = "", {}
    options = case / "options"
    for line in options.read_text().splitlines() if options.exists() else ():
        kind, _, value = line.partition(" ")
        if kind == "target":
            target = value
        else:
            name, _, args[name] = value.partition("=")
    text = render(plan((case / "Dockerfile").read_text(), target=target, **args))
    if os.environ.get("KRUNNER_UPDATE_GOLDEN"):
        (case / "plan.txt").write_text(text)
    assert text == (case / "plan.txt").read_text()


def test_stages_that_nobody_needs_are_not_planned():
    made = plan("FROM a AS one\nFROM b AS two\nFROM one\n")
    assert [planned.stage.index for planned in made.stages] == [0, 2]
    assert made.images() == (("docker.io/library/a:latest", AMD64),)


def test_a_flag_of_a_skipped_stage_does_not_matter():
    text = "FROM a AS one\nRUN --device=a.b/c=d true\nFROM scratch\n"
    assert len(plan(text).stages) == 1
    with pytest.raises(
        NotSupportedError, match="RUN --device is not supported by the overlay and chroot drivers"
    ) as caught:
        plan(text, target="one")
    assert caught.value.location is not None
    assert caught.value.location.line == 2


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("FROM a\nCOPY --from=9 x y\n", InvalidFileError, "no stage 9"),
        ("FROM a AS x\nCOPY --from=x y z\n", InvalidFileError, "itself"),
        ("FROM host/UPPER\n", InvalidFileError, "Dockerfile:1.*lower case"),
        ("FROM --platform=a/b/c/d x\n", InvalidFileError, "not a platform"),
        ("ARG E=\nFROM $E\n", InvalidFileError, "Dockerfile:2"),
        ("FROM a\nCOPY --from=Not:A:Name x y\n", InvalidFileError, "Dockerfile:2"),
    ],
)
def test_faults(text, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        plan(text)


def test_unknown_target():
    with pytest.raises(UsageError, match="no stage 'nope'"):
        plan("FROM a AS b\n", target="nope")


def test_platform_of_a_stage_and_its_arguments():
    made = plan("FROM --platform=$TARGETPLATFORM a\n", platform=Platform("linux", "arm", "v7"))
    assert made.target.platform == Platform("linux", "arm", "v7")
    arguments = platform_arguments(Platform("linux", "arm", "v7"))
    assert (arguments["TARGETARCH"], arguments["TARGETVARIANT"]) == ("arm", "v7")


def test_args_reach_from():
    assert str(plan("ARG V=1\nFROM a:$V\n", V="2").target.base) == "docker.io/library/a:2"
