"""Values inside flags: durations, mounts, devices; and what a RUN makes of its heredocs."""

import pytest

from executor.dockerfile.duration import format_duration, parse_duration
from executor.dockerfile.heredoc import heredocs_of, inline_script, parse_heredoc, shell_text
from executor.dockerfile.instructions import Device, Heredoc
from executor.dockerfile.lexer import lex
from executor.dockerfile.parser import parse
from executor.dockerfile.runflags import (
    FlagValueError,
    is_read_only,
    parse_bool,
    parse_device,
    parse_mount,
    parse_size,
)
from executor.dockerfile.source import read_source
from executor.dockerfile.words import WordError
from executor.errors import Location

SECOND = 10**9
AT = Location("Dockerfile", 1, 1, 1)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1h2m3s4ms5us6ns", 3723 * SECOND + 4_005_006),
        ("1.5h", 5400 * SECOND),
        (".5s", SECOND // 2),
        ("1.s", SECOND),
        ("0.3333333333333333333h", 1_199_999_999_999),
        ("+2s", 2 * SECOND),
        ("-2s", -2 * SECOND),
        ("10µs", 10_000),
        ("10μs", 10_000),  # the Greek letter, above the micro sign
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_durations_are_gos(text, nanoseconds):
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["0s", "1ns", "1.5µs", "999ms", "1s", "1.000000001s", "1m0s", "1h0m0s", "25h1m1.5s", "-2ms"]
)
def test_durations_are_written_as_go_does(text):
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize(
    "text", ["", "+", "3", "s", ".s", "1x", "1s2", "1 s", "1,5s", "9223372037s", "9" * 30 + "h"]
)
def test_other_texts_are_no_durations(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("1k", 1024),
        ("64m", 64 << 20),
        ("1.5GiB", 3 << 29),
        ("2 kb", 2048),
        ("1TB", 1 << 40),
        ("3b", 3),
    ],
)
def test_sizes_are_binary(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1.m", "0x10"])
def test_other_texts_are_no_sizes(text):
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


def test_truth_values_are_gos():
    assert [parse_bool(text) for text in ("1", "t", "True", "0", "F", "false")] == [True] * 3 + [False] * 3
    for text in ("", "yes", "tRUE"):
        with pytest.raises(ValueError, match="not true or false"):
            parse_bool(text)


@pytest.mark.parametrize(
    ("mount", "read_only"),
    [
        ("type=bind,target=/x", True),
        ("target=/x", True),
        ("type=secret,id=x", True),
        ("type=cache,target=/x", False),
        ("type=tmpfs,target=/x", False),
        ("type=cache,target=/x,ro", True),
        ("target=/x,rw", False),
        ("target=/x,readonly=false", False),
        ("target=/x,rw=0", True),
        ("target=/x,rw,ro", True),
    ],
)
def test_mounts_are_read_only_as_written_or_by_type(mount, read_only):
    assert is_read_only(parse_mount(mount, AT)) is read_only


def test_keys_of_a_mount_are_case_blind_and_may_be_quoted():
    mount = parse_mount('TYPE=Cache,Target=/x,"id=a,b"', AT)
    assert mount.type == "cache"
    assert mount.get("dst", "target") == "/x"
    assert mount.get("id") == "a,b"
    assert mount.get("from") is None


@pytest.mark.parametrize(
    "text", ['"target=/x', "type=cache,,target=/x", "sharing=locked,target=/x", "uid=1,target=/x"]
)
def test_a_wrong_mount_is_refused(text):
    with pytest.raises(FlagValueError):
        parse_mount(text, AT)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("vendor.com/gpu=0", Device("vendor.com/gpu=0")),
        ("gpu", Device("gpu")),
        ("name=gpu,required", Device("gpu", required=True)),
        ("required=false,gpu", Device("gpu")),
        ("Required=1,NAME=v/c=d", Device("v/c=d", required=True)),
    ],
)
def test_devices_have_a_name_and_may_be_required(text, device):
    assert parse_device(text) == device


@pytest.mark.parametrize("text", ["", "a,b", "a,name=b", "a,required=perhaps"])
def test_wrong_devices_are_refused(text):
    with pytest.raises(FlagValueError):
        parse_device(text)


@pytest.mark.parametrize(
    ("word", "document"),
    [
        ("<<EOF", Heredoc("EOF", "")),
        ("<<-EOF", Heredoc("EOF", "", strip_tabs=True)),
        ("<<'EOF'", Heredoc("EOF", "", expand=False)),
        ('<<E"O"F', Heredoc("EOF", "", expand=False)),
        ("12<<EOF", Heredoc("EOF", "", descriptor=12)),
        ("<< EOF", Heredoc("EOF", "")),
        ("<<$x", Heredoc("$x", "")),
        ("<<", None),
        ("<<<EOF", None),
        ("a<<EOF", None),
        ("<<a b", None),
        ("<EOF", None),
        ("<<EOF\n", Heredoc("EOF", "")),
    ],
)
def test_words_announce_heredocs(word, document):
    assert parse_heredoc(word) == document


def test_an_open_quote_announces_nothing_in_a_line_and_is_an_error_in_a_word():
    assert heredocs_of("RUN echo it's <<EOF") == ()
    with pytest.raises(WordError):
        parse_heredoc("<<'EOF")


def command_of(text):
    return parse(f"FROM a\n{text}").stages[0].instructions[0].command


def test_a_lone_heredoc_is_the_script():
    command = command_of("RUN <<-EOF\n\t#!/bin/sh\n\tx\nEOF\n")
    assert inline_script(command) == command.heredocs[0]
    assert shell_text(command) == "#!/bin/sh\nx\n"


def test_other_heredocs_are_left_to_the_shell_with_their_tabs():
    command = command_of("RUN cat <<-A <<B && x\n\ta\n\tA\nb\nB\n")
    assert inline_script(command) is None
    assert shell_text(command) == "cat <<-A <<B && x\n\ta\nA\nb\nB"


def test_a_command_without_heredocs_is_its_text():
    assert shell_text(command_of("RUN a  b")) == "a  b"
    assert inline_script(command_of("RUN a")) is None


def test_every_offset_of_a_logical_line_has_its_place():
    text = "FROM a\n  RUN one \\\n# c\n\n\ttwo\\\nthree\n"
    lines = text.split("\n")
    line = lex(read_source(text, "Dockerfile")).lines[1]
    assert line.text == "RUN one \ttwothree"
    for offset, char in enumerate(line.text):
        number, column = line.position(offset)
        assert lines[number - 1][column - 1] == char
    assert (line.start, line.end) == (2, 6)
