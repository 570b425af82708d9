"""The pure plan, golden: a folder of tests/golden/plan holds a Dockerfile, perhaps `options`, and the plan's text.

`options` has lines `target NAME` and `arg NAME=VALUE`. After a wanted change: KRUNNER_UPDATE_GOLDEN=1 pytest …
"""

import os
from pathlib import Path

import pytest

from executor.build.plan.buildplan import ContextBase, ImageBase, ScratchBase, StageBase, on_one_line, render
from executor.build.plan.namedcontexts import NamedContexts
from executor.build.plan.planner import PlanRequest, plan_build, plan_stage, platform_arguments
from executor.dockerfile.parser import parse
from executor.errors import InvalidFileError, NotSupportedError, UsageError
from executor.image.platform import Platform

GOLDEN = Path(__file__).parents[3] / "golden" / "plan"
AMD64 = Platform("linux", "amd64")


def request(*platforms, target="", contexts=None, **args):
    return PlanRequest(
        target=target,
        build_args=args,
        platforms=platforms or (AMD64,),
        contexts=NamedContexts.of(contexts or {}),
    )


def plan(text, *platforms, **options):
    return plan_build(parse(text), request(*platforms, **options))


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


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("RUN make", "RUN make"),
        (
            "RUN --mount=type=cache,target=/c \\\n    # why\n    make \\\n  install",
            "RUN --mount=type=cache,target=/c make install",
        ),
        ("RUN dir `\n  c:\\", "RUN dir c:\\"),
        ("RUN a \\\r\n  b", "RUN a b"),
        ("RUN a \\\n\n  && b", "RUN a && b"),
        ("RUN <<EOF\necho\nEOF", "RUN <<EOF (echo…)"),
        ("RUN <<-EOF\n\n\t# why\n\tset -e\n\tmake\nEOF", "RUN <<-EOF (set -e…)"),
        ("COPY <<EOF /x\nEOF", "COPY <<EOF /x …"),
        ("RUN a \\\n <<EOF\necho\nEOF", "RUN a <<EOF (echo…)"),
        ("RUN \x1b]0;title\x07 a", r"RUN \x1b]0;title\x07 a"),
        ("RUN <<EOF\n\x1b[2J\nEOF", r"RUN <<EOF (\x1b[2J…)"),
        ("ADD https://u:secret@h/x /x", "ADD https://***@h/x /x"),
        ("RUN " + "x" * 300, "RUN " + "x" * 194 + " …"),
    ],
)
def test_a_step_has_a_name_of_one_line(source, line):
    assert on_one_line(source) == line


def test_stages_that_nobody_needs_are_not_planned():
    made = plan("FROM a AS one\nFROM b AS two\nFROM one\n")
    assert [planned.stage.index for planned in made.stages] == [0, 2]
    assert made.images() == (("docker.io/library/a:latest", AMD64),)


def test_a_flag_of_a_skipped_stage_does_not_matter():
    text = "FROM a AS one\nRUN --device=a.b/c=d,required true\nFROM scratch\n"
    assert len(plan(text).stages) == 1
    with pytest.raises(
        NotSupportedError, match="RUN --device=…,required is not supported by the overlay and chroot drivers"
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
    made = plan("FROM --platform=$TARGETPLATFORM a\n", Platform("linux", "arm", "v7"))
    assert made.targets[0].platform == Platform("linux", "arm", "v7")
    arguments = platform_arguments(Platform("linux", "arm", "v7"))
    assert (arguments["TARGETARCH"], arguments["TARGETVARIANT"]) == ("arm", "v7")


def test_args_reach_from():
    assert str(plan("ARG V=1\nFROM a:$V\n", V="2").targets[0].base) == "docker.io/library/a:2"


ARM64 = Platform("linux", "arm64")
CROSS = """\
FROM --platform=$BUILDPLATFORM golang AS tools
RUN install
FROM tools AS build
ARG TARGETARCH
RUN build $TARGETARCH
FROM alpine
COPY --from=build /x /x
COPY --from=tools /y /y
"""


def test_stages_of_the_build_platform_are_planned_once():
    made = plan(CROSS, AMD64, ARM64)
    assert [(planned.number, planned.platform) for planned in made.stages] == [
        (0, Platform.host()),
        (1, Platform.host()),
        (2, AMD64),
        (4, Platform.host()),
        (5, ARM64),
    ]
    assert made.shared == {3: 0}
    assert [target.number for target in made.targets] == [2, 5]
    assert made.targets[1].sources == (StageBase(4), StageBase(0))
    assert made.stage(4).base == StageBase(0)
    reader = made.targets[1].stage.instructions[1]
    assert made.source_of(reader, made.targets[1]) == StageBase(0)


def test_a_global_argument_that_differs_keeps_stages_apart():
    text = "ARG TAG=$TARGETARCH\nFROM --platform=$BUILDPLATFORM a AS b\n{}RUN x\n"
    assert len(plan(text.format(""), AMD64, ARM64).stages) == 1
    assert len(plan(text.format("ARG TAG\n"), AMD64, ARM64).stages) == 2
    assert len(plan(text.format("ARG TAG=x\n"), AMD64, ARM64, TAG="same").stages) == 1


def test_what_is_copied_from_an_image_is_of_the_target_platform():
    text = "FROM --platform=$BUILDPLATFORM a\nCOPY --from=tool /t /t\n"
    tool = "docker.io/library/tool:latest"
    assert (tool, ARM64) in plan(text, ARM64).images()
    assert len(plan(text, AMD64, ARM64).stages) == 2


def test_triggers_keep_stages_apart():
    text = "FROM --platform=$BUILDPLATFORM a AS b\nONBUILD ARG TARGETARCH\nFROM b\n"
    assert [planned.number for planned in plan(text, AMD64, ARM64).stages] == [0, 1, 3]
    wanted = PlanRequest(platforms=(AMD64, ARM64), unshared=(0,))
    assert len(plan_build(parse("FROM --platform=$BUILDPLATFORM a\n"), wanted).stages) == 2


def test_scratch_is_always_of_the_target_platform():
    made = plan("FROM --platform=linux/s390x scratch\n", ARM64)
    assert made.targets[0].platform == ARM64


def test_a_stage_on_a_stage_runs_on_its_platform():
    made = plan("FROM --platform=linux/s390x a AS b\nFROM b\n")
    assert made.targets[0].platform == Platform("linux", "s390x")


def test_a_stage_by_number_for_a_trigger():
    made = plan_stage(parse(CROSS), request(AMD64, ARM64), 4)
    assert [planned.number for planned in made] == [3, 4]


def test_named_contexts_stand_in_for_images_and_sources():
    contexts = {
        "golang": "docker-image://host.io/go:1",
        "docker.io/library/alpine:latest": "./rootfs",
        "host/tool:2": "oci-layout:///layout:x",
        "empty": "docker-image://scratch",
    }
    made = plan(
        "FROM golang AS a\nFROM alpine\nCOPY --from=host/tool:2 a b\nCOPY --from=empty a b\nCOPY --from=a c d\n",
        contexts=contexts,
    )
    target = made.targets[0]
    assert made.stages[0].base == ImageBase("host.io/go:1")
    assert target.base == ContextBase("alpine")
    assert target.sources == (ImageBase("oci-layout:///layout:x"), ScratchBase(), StageBase(0))
    assert made.source_of(target.prelude, target) == target.base


def test_a_named_context_replaces_a_stage_and_what_it_needs():
    made = plan("FROM a AS base\nRUN x\nFROM base AS src\nRUN y\nFROM src\n", contexts={"src": "/files"})
    assert [(planned.number, planned.base, planned.replaced) for planned in made.stages] == [
        (1, ContextBase("src"), True),
        (2, StageBase(1), False),
    ]
    assert made.stages[0].stage.instructions == ()
    assert made.stages[0].prelude.sources == ("/",)


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        ({"context": "x"}, "a meaning of its own"),
        ({"A_b": "x"}, "cannot be the name"),
        ({"a": ""}, "is empty"),
        ({"a": "x", "a:latest": "y"}, "the same name"),
        ({"a": "docker-image://UP/x:y:z"}, "is not a"),
    ],
)
def test_faults_of_named_contexts(contexts, message):
    with pytest.raises(UsageError, match=message):
        NamedContexts.of(contexts)


def test_bad_words_of_all_needed_stages_are_refused_together():
    with pytest.raises(InvalidFileError) as caught:
        plan("FROM a AS one\nENV a=${b\nFROM b\nENV a=${\nFROM c\nCOPY --from=one a /\nWORKDIR ${a!}\n")
    assert [fault.location.line for fault in caught.value.diagnostics] == [2, 7]


def test_all_that_is_wrong_is_told_at_once_and_marked():
    text = (
        "FROM scratch AS a\nCOPY --from=9 x /\nRUN --mount=type=bind,from=later,target=/m \\\n  true\nFROM $NONE\n"
        "COPY --from=a ${x /\nCOPY --from=Bad/Name y /\nEXPOSE 99999\nFROM --platform=a/b/c/d scratch AS later\n"
        "COPY --from=1 / /\nCOPY --from=0 / /\n"
    )
    with pytest.raises(InvalidFileError) as caught:
        plan_build(parse(text), PlanRequest(platforms=(Platform.host(), Platform.parse("linux/arm64"))))
    marked = []
    for fault in caught.value.diagnostics:
        line, mark = fault.excerpt.split("\n")
        marked.append((fault.location.line, line[mark.index("^") : len(mark)]))
    assert marked == [
        (2, "from=9"),
        (3, "from=later"),
        (5, "$NONE"),
        (6, "${x"),
        (7, "from=Bad/Name"),
        (8, "99999"),
        (9, "--platform=a/b/c/d"),
    ]


@pytest.mark.parametrize(
    ("steps", "linked"),
    [
        ("COPY --link a /b\nENV X=1\nADD --link --chown=1:2 c /d", True),
        ("COPY --link a /b\nCOPY a /b", False),
        ("COPY --link --chmod=700 a /b", False),
        ("COPY --link --chown=app a /b", False),
        ("COPY --link --chown=$U a /b", False),
        ("COPY --link a /b\nWORKDIR /x", False),
        ("COPY --link a /b\nRUN true", False),
        ("COPY --link a /b\nFROM scratch\nCOPY --from=0 /b /", False),
        ("COPY --link a /b\nFROM first\nRUN true", False),
    ],
)
def test_a_stage_of_linked_files_alone_does_without_its_base(steps, linked):
    made = plan(f"FROM x AS first\n{steps}\n")
    assert made.is_linked(made.stages[0]) == linked
