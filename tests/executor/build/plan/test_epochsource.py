"""SOURCE_DATE_EPOCH=NAME: which source a named context or a stage stands for, and what is refused."""

import pytest

from executor.build.plan.epochsource import epoch_source
from executor.build.plan.namedcontexts import NamedContexts
from executor.dockerfile.parser import parse
from executor.errors import InvalidFileError, UsageError

GIT = "https://git.test/app.git#v1"
CONTEXTS = {
    "src": GIT,
    "web": "https://files.test/a.tar",
    "local": "/folder",
    "image": "docker-image://busybox",
    "golang:1.22": "https://files.test/go.tar",
}


def source(name, text="FROM scratch\n", **build_args):
    return epoch_source(name, parse(text), build_args, NamedContexts.of(CONTEXTS))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("src", GIT),
        ("web", "https://files.test/a.tar"),
        ("docker.io/library/golang:1.22", "https://files.test/go.tar"),
        ("local", ""),
        ("image", ""),
    ],
)
def test_named_contexts(name, expected):
    assert source(name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"FROM scratch AS code\nADD {GIT} /\n", GIT),
        ("FROM scratch AS Code\nADD --checksum=sha256:1 https://files.test/a.tar /\n", "https://files.test/a.tar"),
        (
            "ARG TAG=v2\nFROM scratch AS code\nARG TAG\nADD https://git.test/x.git#$TAG /\n",
            "https://git.test/x.git#v2",
        ),
        ("FROM scratch AS code\nARG A=1 B=$A\nADD https://git.test/x.git#$B /\n", "https://git.test/x.git#1"),
        ("ARG E=scratch\nFROM $E AS code\nADD git@git.test:x /\n", "git@git.test:x"),
        (
            "ARG SOURCE_DATE_EPOCH=code\nFROM scratch AS code\nADD https://git.test/$SOURCE_DATE_EPOCH.git /\n",
            "https://git.test/.git",
        ),
    ],
)
def test_stages(text, expected):
    assert source("CODE", f"{text}FROM busybox\n") == expected


def test_build_arguments_beat_what_is_written():
    text = "FROM scratch AS code\nARG TAG=v1\nADD https://git.test/x.git#$TAG /\n"
    assert source("code", text, TAG="v9") == "https://git.test/x.git#v9"


def test_a_context_comes_before_a_stage():
    assert source("src", "FROM scratch AS src\nADD https://other.test/x.git /\n") == GIT


@pytest.mark.parametrize(
    ("stage", "line", "message"),
    [
        ("FROM busybox AS code\nADD https://x.test/a /", 1, "not FROM scratch"),
        ("FROM scratch AS code", 1, "has no ADD"),
        ("FROM scratch AS code\nADD https://x.test/a /\nADD https://x.test/b /", 3, "not the one ADD"),
        ("FROM scratch AS code\nADD https://x.test/a https://x.test/b /", 2, "not the one ADD"),
        ("FROM scratch AS code\nADD <<EOF /file\ntext\nEOF", 2, "not the one ADD"),
        ("FROM scratch AS code\nADD folder /", 2, "folder is no git repository"),
        ("FROM scratch AS code\nADD https://x.test/a /\nENV A=1", 3, "not the one ADD"),
        ("FROM scratch AS code\nCOPY https://x.test/a /", 2, "not the one ADD"),
        ("FROM scratch AS code\nADD https://x.test/${A /", 2, "A"),
    ],
)
def test_stages_of_another_kind_are_refused_where_they_are_wrong(stage, line, message):
    with pytest.raises(InvalidFileError, match=message) as caught:
        source("code", f"{stage}\nFROM busybox\n")
    (found,) = caught.value.diagnostics
    assert found.location.line == line


@pytest.mark.parametrize("name", ["other", "-1", "1.5", "a b", "$X"])
def test_names_of_nothing(name):
    with pytest.raises(UsageError, match="neither a number of seconds nor a named context or a stage"):
        source(name)
