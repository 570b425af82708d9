"""What is wrong with the words of stages once the base images' variables are known."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from executor.build.bases.bases import BaseImages
from executor.build.copying.copysource import SourceTree
from executor.build.lookahead.rehearsal import rehearse
from executor.build.plan.planner import PlanRequest, plan_build
from executor.dockerfile.ignore import IgnoreMatcher
from executor.dockerfile.parser import parse
from executor.errors import FaultyStepsError, InvalidFileError
from executor.image.config import ContainerConfig, ImageConfig
from executor.image.platform import Platform
from tests.support.trees import write_tree

HOST = Platform.host()


class Bases:
    """Every image has the same configuration."""

    def __init__(self, *env: str, on_build: tuple[str, ...] = ()) -> None:
        self._config = ImageConfig(platform=HOST, config=ContainerConfig(env=env, on_build=on_build))

    def get(self, _reference: str, _platform: Platform) -> Any:
        return SimpleNamespace(config=self._config, layers=())


def faults(
    tmp_path: Path,
    text: str,
    *env: str,
    build_args: Mapping[str, str] | None = None,
    on_build: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
) -> list[str]:
    """Place and message of each fault."""
    write_tree(tmp_path, {"requirements.txt": "", "src/main.c": "", "secret.env": ""})
    plan = plan_build(parse(text), PlanRequest(platforms=(HOST,), build_args=build_args or {}))
    bases = cast("BaseImages", Bases(*env, on_build=on_build))
    try:
        rehearse(plan, bases, build_args or {}, SourceTree(str(tmp_path), IgnoreMatcher(ignore)))
    except FaultyStepsError as error:
        return [f"{fault.location.line}:{fault.location.column} {fault.message}" for fault in error.diagnostics]
    return []


def test_values_come_from_the_base_from_arguments_and_from_lines_above(tmp_path: Path) -> None:
    text = (
        "ARG G=x\nFROM base\nARG G A=70000\nENV B=$A\nEXPOSE $B\nSTOPSIGNAL $FROM_BASE\nCOPY ${G:?} ${N:?no} /d/\n"
    )
    assert faults(tmp_path, text, "FROM_BASE=nonsense") == [
        "5:8 invalid containerPort: 70000",
        "6:12 Invalid signal: nonsense",
        '7:6 "/x": not found',
        "7:13 cannot expand '${N:?no}': N: no",
    ]
    given = {"A": "80", "G": "src"}
    assert faults(tmp_path, text, "FROM_BASE=TERM", "N=src/main.c", build_args=given) == []


def test_what_comes_behind_a_faulty_definition_is_not_judged_nor_what_is_built_on_it(tmp_path: Path) -> None:
    text = (
        "FROM base AS a\nENV A=${B:?} C=1\nEXPOSE $A\nFROM a\nEXPOSE $A\nFROM base\nEXPOSE $A\nCOPY --from=1 a /\n"
    )
    assert faults(tmp_path, text) == ["2:7 cannot expand '${B:?}': B: is not allowed to be unset"]


def test_a_default_sees_the_entries_before_it(tmp_path: Path) -> None:
    assert faults(tmp_path, "FROM base\nARG A=1 B=${A:?} C=${D:?} E=${C:?}\n") == [
        "2:20 cannot expand '${D:?}': D: is not allowed to be unset"
    ]
    assert faults(tmp_path, "FROM base\nARG C=${D:?}\n", build_args={"C": ""}) == []


def test_triggers_are_judged_at_the_from_that_brings_them(tmp_path: Path) -> None:
    triggers = ("COPY requirement.txt /", "ENV A=80", "EXPOSE $A")
    assert faults(tmp_path, "FROM base\n", on_build=triggers) == [
        "1:1 in the base image's ONBUILD trigger 'COPY requirement.txt /': \"/requirement.txt\": not found"
    ]
    text = "FROM base AS a\nONBUILD STOPSIGNAL $S\nFROM a\n"
    assert faults(tmp_path, text, "S=9") == []
    assert faults(tmp_path, text, "S=x") == [
        "3:1 in the base image's ONBUILD trigger 'STOPSIGNAL $S': Invalid signal: x"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY requirement.txt src/ /d/", ['2:6 "/requirement.txt": not found']),
        ("ADD src/main.cc /", ['2:5 "/src/main.cc": not found']),
        ("COPY secret.env /", ['2:6 "/secret.env": not found']),
        ("COPY none*.txt ./src https://h/x /", ["2:22 COPY cannot have the URL https://h/x as a source"]),
        ("COPY --parents none /", []),
        ("COPY --from=other none /", []),
        ("ADD https://h/x git@h:x <<d /d/\nd", []),
    ],
)
def test_sources_that_the_context_does_not_have(text: str, expected: list[str], tmp_path: Path) -> None:
    plan = f"FROM scratch\n{text}\n"
    if "https://h/x as" in str(expected):
        with pytest.raises(InvalidFileError, match="COPY cannot have the URL"):
            faults(tmp_path, plan)
    else:
        assert faults(tmp_path, plan, ignore=("secret.*",)) == expected


def test_a_missing_source_is_compared_with_what_is_there(tmp_path: Path) -> None:
    write_tree(tmp_path, {"requirements.txt": "", "hidden.txt": ""})
    tree = SourceTree(str(tmp_path), IgnoreMatcher(("hidden.txt",)))
    plan = plan_build(parse("FROM scratch\nCOPY requirement.txt hiden.txt /\n"), PlanRequest(platforms=(HOST,)))
    with pytest.raises(InvalidFileError) as caught:
        rehearse(plan, cast("BaseImages", Bases()), {}, tree)
    assert caught.value.exit_code == 1  # the Dockerfile alone is not at fault
    assert [fault.hint for fault in caught.value.diagnostics] == ["did you mean requirements.txt?", ""]


def test_the_working_directory_decides_what_a_mount_covers(tmp_path: Path) -> None:
    mount = "RUN --mount=type=cache,target=/c \\\n  --mount=target=$T make\n"
    message = '3:17 invalid mount target "$T": the root itself cannot be covered'
    assert faults(tmp_path, f"FROM base\n{mount}", "T=.") == [message]
    assert faults(tmp_path, f"FROM base\nWORKDIR /a\n{mount}", "T=.") == []
    assert faults(tmp_path, f"FROM base\nWORKDIR /a\n{mount}", "T=/b/..") == [message.replace("3:", "4:")]
