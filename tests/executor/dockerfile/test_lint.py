"""Every rule: a file that breaks it and one that does not, as its documentation has them; what a file may skip."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.dockerfile.instructions import Dockerfile
from executor.dockerfile.lint import RULES, BaseFacts, CheckOptions, Surroundings, lint
from executor.dockerfile.lint.documentation import documentation
from executor.dockerfile.parser import parse
from executor.errors import InvalidFileError

ROOT = Path(__file__).parents[3]


IGNORES_LOGS = Surroundings(is_ignored=lambda path: path.endswith(".log"))


def rules_of(text, around=None):
    return [found.path for found in lint(parse(text), around)]


def upon(had="linux/amd64", **variables):
    return Surroundings(bases={0: BaseFacts(variables=variables, wanted="linux/amd64", had=had)})


def around_of(name):
    """What the example of a rule needs beside itself."""
    return upon(had="linux/arm64") if name == "InvalidBaseImagePlatform" else IGNORES_LOGS


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_what_its_documentation_shows(name):
    assert rules_of(RULES[name].bad, around_of(name)) == [name]


@pytest.mark.parametrize("name", RULES)
def test_what_the_documentation_shows_as_better_breaks_no_rule(name):
    assert rules_of(RULES[name].good, IGNORES_LOGS) == []


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
        ("FROM --platform=${TARGETPLATFORM:-linux/amd64} a\n", ["RedundantTargetPlatform"]),
        ("ARG P=linux/arm64\nFROM --platform=$P a\n", []),
        ("ARG P\nFROM --platform=${P:-$TARGETPLATFORM} a\n", []),
        ("FROM --platform=$TARGETOS/$TARGETARCH a\n", []),
        ("FROM scratch\nEXPOSE $x\n", []),
        ("ARG B=b\nFROM scratch AS b\nENV x=c\nFROM $B\nCOPY $x $y /\nWORKDIR /$x\n", ["UndefinedVar"]),
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
        ("FROM a\nARG D=b\nWORKDIR $D\n", ["WorkdirRelativePath"]),
        ("ARG D=b\nFROM a\nARG D\nENV E=${D}c\nWORKDIR '$x'$E\n", ["WorkdirRelativePath"]),
        ("FROM a\nARG D=/b\nENV E=$D/c\nWORKDIR $E\n", []),
        ("FROM a\nARG D\nWORKDIR $D\nWORKDIR e\n", []),
        ("FROM a AS b\nENV D=c\nFROM b\nWORKDIR $D\n", ["WorkdirRelativePath"]),
        ("FROM a\nENV D=c\nARG D=$unknown\nWORKDIR $D\n", []),
        ("FROM scratch\nARG a=$x b=$a\n", ["UndefinedVar"]),
        ("FROM a\n# check=skip=ExposeProtoCasing\n\n# b\nEXPOSE 53/UDP\nEXPOSE 80/TCP\n", ["ExposeProtoCasing"]),
        ("FROM scratch\n# check=skip=all\n#\nEXPOSE 53/UDP\n", ["ExposeProtoCasing"]),
        ("FROM scratch\n  # check=skip=all\nEXPOSE 53/UDP\n", ["ExposeProtoCasing"]),
        ("FROM scratch\n# check=nonsense\nEXPOSE 53/UDP\n", ["ExposeProtoCasing"]),
        ("FROM a\n# check=skip=ReservedStageName,StageNameCasing\nFROM a AS Scratch\n", ["ReservedStageName"]),
        ("#check=experimental=InvalidDefinitionDescription\n#y\nARG a\nFROM a", ["InvalidDefinitionDescription"]),
        ("# check=experimental=all\nFROM a\n# c\nARG b c\n# d\n# b is\nARG b\n# e\nFROM a\n", []),
        ("FROM a\n# check=experimental=all\nARG b\n", ["InvalidDefinitionDescription"]),
        ("FROM a\n# not b\nARG b\n", []),
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
        ("COPY .. /", []),
    ],
)
def test_ignored_files(text, rules):
    assert rules_of(f"FROM a\nARG v\n{text}\n", IGNORES_LOGS) == rules


@pytest.mark.parametrize(
    ("directive", "rules"),
    [
        ("skip=all", []),
        ("skip=JSONArgsRecommended", ["LegacyKeyValueFormat"]),
        (
            "skip=JSONArgsRecommended, LegacyKeyValueFormat",
            ["LegacyKeyValueFormat"],
        ),  # ends at a space, as BuildKit's
        ("skip=JSONArgsRecommended,LegacyKeyValueFormat;error=true", []),
        ("skip=jsonargsrecommended", ["LegacyKeyValueFormat", "JSONArgsRecommended"]),
        ("experimental=all", ["LegacyKeyValueFormat", "JSONArgsRecommended"]),
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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("nonsense", "skip=Rule"),
        ("skp=a", "did you mean skip?"),
        ("error=maybe", "error=true"),
        ("skip=a;;error=true;x", "skip=Rule"),
    ],
)
def test_wrong_options_are_refused(text, hint):
    with pytest.raises(InvalidFileError, match="invalid check option") as caught:
        lint(parse(f"# check={text}\nFROM a\n"))
    assert hint in caught.value.diagnostics[0].hint


def test_an_argument_takes_the_place_of_what_the_file_says():
    dockerfile = parse("# check=skip=LegacyKeyValueFormat\nFROM a\nENV a b\nCMD c\n")
    assert [found.path for found in lint(dockerfile, check="skip=JSONArgsRecommended")] == ["LegacyKeyValueFormat"]
    assert [found.path for found in lint(dockerfile, check="")] == ["LegacyKeyValueFormat", "JSONArgsRecommended"]


def test_what_the_base_image_defines_is_known_in_a_build():
    text = "FROM a\nCOPY $FROM_BASE $other /\nFROM b\nCOPY $unknown /\n"
    (found,) = lint(parse(text), upon(FROM_BASE="x"))
    assert (found.path, found.location.line) == ("UndefinedVar", 2)
    assert found.message == "the variable other is not defined"
    assert rules_of("FROM a AS x\nFROM x\nCOPY $FROM_BASE $other /\n", upon(FROM_BASE="x")) == ["UndefinedVar"]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("WORKDIR $A", []),
        ("WORKDIR $B", ["WorkdirRelativePath"]),
        ("WORKDIR $NONE", ["UndefinedVar", "WorkdirRelativePath"]),
        ("ARG GIVEN\nWORKDIR $GIVEN", []),
        ("FROM x\nWORKDIR $B", ["WorkdirRelativePath"]),
    ],
)
def test_a_working_directory_upon_a_base_that_is_known(text, rules):
    assert sorted(rules_of(f"FROM a AS x\n{text}\n", upon(A="/a", B="b"))) == rules


@pytest.mark.parametrize(("hides_all", "rules"), [(True, ["CopyIgnoredFile"] * 3), (False, [])])
def test_a_context_of_which_nothing_is_left(hides_all, rules):
    around = Surroundings(is_ignored=lambda _path: False, hides_all=hides_all)
    assert rules_of("FROM a\nCOPY . /\nADD ./ /\nCOPY / /\nCOPY b /\n", around) == rules


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
    assert {
        found.path for found in lint(dockerfile, Surroundings(is_ignored=lambda _path: True, hides_all=True))
    } <= set(RULES)
