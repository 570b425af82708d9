"""Every rule: a file that breaks it and one that does not, as its documentation has them; what a file may skip."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.dockerfile.instructions import Dockerfile
from executor.dockerfile.lint import RULES, CheckOptions, lint
from executor.dockerfile.lint.documentation import documentation
from executor.dockerfile.parser import parse
from executor.errors import InvalidFileError

ROOT = Path(__file__).parents[3]


def rules_of(text, is_ignored=None):
    return [found.path for found in lint(parse(text), is_ignored)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_what_its_documentation_shows(name):
    assert rules_of(RULES[name].bad, lambda path: path.endswith(".log")) == [name]


@pytest.mark.parametrize("name", RULES)
def test_what_the_documentation_shows_as_better_breaks_no_rule(name):
    assert rules_of(RULES[name].good, lambda path: path.endswith(".log")) == []


def test_the_documentation_is_up_to_date():
    assert (ROOT / "docs" / "lint.md").read_text() == documentation()


def found_in(text):
    return [(found.location.line, found.location.column, found.path, found.message) for found in lint(parse(text))]


def test_findings_are_told_with_their_place_in_order():
    assert found_in("FROM busybox as a\nENV a b\n\nCMD run\n") == [
        (1, 1, "FromAsCasing", "FROM and as are not in the same case"),
        (2, 1, "LegacyKeyValueFormat", "ENV with a space between key and value"),
        (4, 1, "JSONArgsRecommended", "CMD runs in a shell, which keeps signals from the program"),
    ]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("from a as b\nrun x\ncmd [\"c\"]\n", []),
        ("FROM a\nRun x\n", ["ConsistentInstructionCasing"]),
        ("From a\n", ["ConsistentInstructionCasing"]),
        ("FROM a \\\n  as b\n", ["FromAsCasing"]),
        ("FROM a AS b\nFROM b AS B\n", ["StageNameCasing", "DuplicateStageName"]),
        ("FROM --platform=linux/amd64 a AS build-amd64\n", []),
        ("FROM --platform=linux/amd64 a AS linux\n", []),
        ("FROM --platform=${TARGETPLATFORM} a\n", ["RedundantTargetPlatform"]),
        ("ARG P=linux/arm64\nFROM --platform=$P a\n", []),
        ("FROM a:${V:-1}\n", []),
        ("FROM a:$V\n", ["UndefinedArgInFrom", "InvalidDefaultArgInFrom"]),
        ("ARG V=$W\nFROM a$V\n", []),
        ("ARG BASE\nFROM ${BASE:-a}\n", []),
        ("ARG B=one\nFROM a AS one\nFROM $B\n", []),
        ("FROM a\nSHELL [\"/bin/sh\", \"-c\"]\nCMD run\n", []),
        ("FROM a\nENTRYPOINT run\n", ["JSONArgsRecommended"]),
        ("FROM a\nENTRYPOINT []\nENTRYPOINT []\nFROM c\nENTRYPOINT []\n", ["MultipleInstructionsDisallowed"]),
        ("FROM a\nHEALTHCHECK NONE\nHEALTHCHECK NONE\nHEALTHCHECK NONE\n", ["MultipleInstructionsDisallowed"] * 2),
        ("FROM a\nLABEL a b\n", ["LegacyKeyValueFormat"]),
        ("FROM a\nENV a \\\n  b\n", ["LegacyKeyValueFormat"]),
        ("FROM a\nENV \\\n  a=b\n", []),
        ("FROM a\nENV \"a\"=b\n", []),
        ("FROM a\nARG GITHUB_TOKEN DB_PASSWORD_FILE PUBLIC_KEY monkey\n", ["SecretsUsedInArgOrEnv"]),
        ("FROM a\nENV apikey=1 AUTH=2\n", ["SecretsUsedInArgOrEnv"] * 2),
        ("FROM a\nWORKDIR $HOME\nWORKDIR b\n", []),
        ("FROM a AS b\nWORKDIR /c\nFROM b\nWORKDIR d\n", []),
        ("FROM a\nWORKDIR b\nWORKDIR c\n", ["WorkdirRelativePath"]),
        ("FROM a\nEXPOSE 80 443/udp 1-2/tcp $P\n", []),
        ("FROM a\nEXPOSE 8080:80\n", ["ExposeInvalidFormat"]),
        ("FROM a\nCOPY $x /\n", []),
        ("FROM scratch\nCOPY $x /\n", ["UndefinedVar"]),
        ("FROM scratch\nCOPY ${x:-y} ${x:+z} /\n", []),
        ("FROM scratch\nCOPY $HTTP_PROXY $PATH /\n", []),
        ("FROM scratch\nENV x=$x\n", ["UndefinedVar"]),
        ("FROM scratch\nARG x\nARG y=$x\nCOPY $x$y /\n", []),
        ("FROM scratch AS a\nENV x=1\nFROM a\nCOPY $x /\n", []),
        ("FROM a\nENV VERSION=1\nCOPY $VERSOIN /\n", ["UndefinedVar"]),
        ("ARG V=1\nFROM a\nCOPY $V /\n", ["UndefinedVar"]),
        ("FROM scratch\nENV 'a'='$x'\n", []),
        ("FROM busybox\nRUN echo $x\n", []),
        ("FROM scratch\nRUN --mount=type=cache,target=$x y\n", ["UndefinedVar"]),
    ],
)  # fmt: skip
def test_what_counts(text, rules):
    assert rules_of(text) == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("COPY a.log b.txt /", ["CopyIgnoredFile"]),
        ("ADD ./a.log /", ["CopyIgnoredFile"]),
        ("ADD https://example.com/a.log /", []),
        ("COPY --from=b a.log /", []),
        ("COPY . /", []),
        ("COPY $v.log /", []),
    ],
)
def test_ignored_files(text, rules):
    assert rules_of(f"FROM a\nARG v\n{text}\n", lambda path: path.endswith(".log")) == rules


@pytest.mark.parametrize(
    ("directive", "rules"),
    [
        ("skip=all", []),
        ("skip=JSONArgsRecommended", ["LegacyKeyValueFormat"]),
        (
            "skip=jsonargsrecommended, LegacyKeyValueFormat",
            ["LegacyKeyValueFormat"],
        ),  # ends at a space, as BuildKit's
        ("skip=JSONArgsRecommended,LegacyKeyValueFormat;error=true", []),
        ("experimental=all", ["LegacyKeyValueFormat", "JSONArgsRecommended"]),
        ("nonsense", ["LegacyKeyValueFormat", "JSONArgsRecommended"]),
    ],
)
def test_a_file_says_what_it_skips(directive, rules):
    assert rules_of(f"# check={directive}\nFROM a\nENV a b\nCMD c\n") == rules


@pytest.mark.parametrize("command", ["['a', 'b']", '["a" "b"]', '["a",]', "[a]"])
def test_what_only_looks_like_json_is_said_to_be_none(command):
    (found,) = lint(parse(f"FROM a\nCMD {command}\n"))
    assert found.message.startswith("CMD is no valid JSON array")
    assert "double quotes" in found.hint


def test_errors_are_asked_for():
    assert CheckOptions.parse("skip=a;error=true").error
    assert not CheckOptions.parse("error=false").error
    assert not CheckOptions.parse("").error


LINES = (
    *("FROM a AS b", "from $x", "ENV a b", "ARG A=$B", "CMD x", "EXPOSE 1:2/TCP", "\\", "", "# c"),
    *("COPY --from=b $c /", "WORKDIR x", "RUN <<E", "E", "LABEL a=${b", "USER $u", "HEALTHCHECK NONE"),
)


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_nothing_that_parses_makes_it_stumble(lines):
    try:
        dockerfile = parse("\n".join(lines))
    except InvalidFileError:
        return
    assert isinstance(dockerfile, Dockerfile)
    assert {found.path for found in lint(dockerfile, lambda _path: True)} <= set(RULES)
