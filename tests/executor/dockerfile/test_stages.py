"""Names of stages, and the variables of FROM."""

import pytest

from executor.dockerfile.parser import parse
from executor.dockerfile.stages import (
    find_target,
    global_variables,
    predefined_args,
    source_stage,
    stage_by_name,
)
from executor.errors import InvalidFileError, UsageError

FILE = parse("FROM a AS base\nFROM base AS Build\nFROM x\nFROM b AS build\nFROM y AS last\n")


@pytest.mark.parametrize(
    ("target", "index"), [("", 4), ("base", 0), ("BASE", 0), ("build", 3), ("0", 0), ("2", 2), ("last", 4)]
)
def test_a_target_is_a_name_or_a_number(target, index):
    assert find_target(FILE, target).index == index


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("bulid", "did you mean build?"),
        ("zzz", "its stages are base (0), build (1), 2, build (3), last (4)"),
        ("5", "its"),
    ],
)
def test_an_unknown_target_names_those_there_are(target, hint):
    with pytest.raises(UsageError, match="has no stage") as caught:
        find_target(FILE, target)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("name", "before", "index"),
    [
        ("base", 1, 0),
        ("base", 0, None),
        ("build", 2, 1),
        ("Build", 4, 3),
        ("last", 4, None),
        ("0", 3, None),
        ("", 4, None),
    ],
)
def test_from_sees_the_last_stage_above_it(name, before, index):
    stage = stage_by_name(FILE, name, before)
    assert (stage.index if stage else None) == index


def test_numbers_are_names_where_they_are_allowed():
    assert stage_by_name(FILE, "1", 2, numbers=True) is FILE.stages[1]
    assert stage_by_name(FILE, "2", 2, numbers=True) is None


def source(name, index, **options):
    stage = FILE.stages[index]
    return source_stage(FILE, name, stage, stage.base.location, **options)


def test_files_come_from_earlier_stages_or_images():
    assert source("base", 4) is FILE.stages[0]
    assert source("BUILD", 4) is FILE.stages[3]
    assert source("2", 4) is FILE.stages[2]
    assert source("alpine:3", 4) is None
    assert source("2", 4, numbers=False) is None


@pytest.mark.parametrize(
    ("name", "index", "message"),
    [
        ("last", 4, "cannot take files from itself"),
        ("2", 2, "cannot take files from itself"),
        ("last", 1, "must be defined before"),
        ("4", 1, "must be defined before"),
        # the last stage of a name counts, even if an earlier one would do
        ("build", 2, "must be defined before"),
        ("9", 4, "no stage 9: the last one is 4"),
    ],
)
def test_files_never_come_from_the_stage_itself_or_a_later_one(name, index, message):
    with pytest.raises(InvalidFileError, match=message) as caught:
        source(name, index)
    assert caught.value.diagnostics[0].location.line == index + 1


def test_a_wrong_source_is_shown_with_its_line_and_its_own_way_out():
    dockerfile = parse(
        "FROM a\nRUN --mount=from=b \\\n  --mount=from=later x\nCOPY --from=9 a /\nFROM b AS later\n"
    )
    stage = dockerfile.stages[0]
    run, copy = stage.instructions
    with pytest.raises(InvalidFileError) as caught:
        source_stage(dockerfile, "later", stage, run.mounts[1].location, numbers=False)
    assert caught.value.diagnostics[0].excerpt == "  3 |   --mount=from=later x\n    |           ^^^^^^^^^^"
    assert caught.value.diagnostics[0].hint == "move that stage up"
    with pytest.raises(InvalidFileError) as caught:
        source_stage(dockerfile, "9", stage, copy.location)
    assert caught.value.diagnostics[0].excerpt == "  4 | COPY --from=9 a /\n    |        ^^^^^^"
    assert "number of a stage above" in caught.value.diagnostics[0].hint


def test_global_variables_see_what_stands_before_them():
    dockerfile = parse("ARG A=1 B=$A-$OS\nARG A=2 C\nARG D=${A}${B} OS=other\nFROM x\n")
    assert global_variables(dockerfile, {}, {"OS": "linux"}) == {
        "OS": "other",
        "A": "2",
        "B": "1-linux",
        "D": "21-linux",
    }


def test_build_arguments_win_where_they_are_declared():
    dockerfile = parse("ARG A=1\nARG B=$A\nARG C\nFROM x\n")
    given = {"A": "x$y", "C": "c", "UNDECLARED": "u", "TARGETOS": "windows"}
    assert global_variables(dockerfile, given, {"TARGETOS": "linux", "TARGETARCH": "arm64"}) == {
        "TARGETOS": "windows",
        "TARGETARCH": "arm64",
        "A": "x$y",
        "B": "x$y",
        "C": "c",
    }


def test_global_defaults_use_the_files_escape():
    dockerfile = parse("# escape=`\nARG A=`$x\\\nFROM x\n")
    assert global_variables(dockerfile, {}, {}) == {"A": "$x\\"}


def test_a_bad_global_default_is_shown_at_its_place():
    with pytest.raises(InvalidFileError, match="needed") as caught:
        global_variables(parse("# c\nARG A=${B:?needed}\nFROM x\n"), {}, {})
    assert caught.value.diagnostics[0].location.line == 2


def test_the_proxies_are_predefined_in_both_cases():
    assert {"HTTP_PROXY", "http_proxy", "no_proxy", "ALL_PROXY"} <= predefined_args()
    assert len(predefined_args()) == 10
