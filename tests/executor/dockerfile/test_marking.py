"""The lines that errors quote: those of the instruction that failed, as in the file, without passwords."""

import pytest

from executor.dockerfile.marking import fault_in, quoted, quoting
from executor.dockerfile.parser import parse
from executor.errors import Location, RegistryError, StepError

TEXT = """\
ARG TAG=1
FROM registry.example/base:$TAG AS build
  RUN --mount=type=cache,target=/c \\
    # between
    --mount=type=secret,id=x \\
      make
COPY <<EOF /etc/motd
welcome
EOF
ADD https://user:hunter2@files.example/a /a
"""


def at(line, text=TEXT):
    """What an error of the instruction that begins in `line` quotes."""
    dockerfile = parse(text)
    steps = [*dockerfile.global_args]
    for stage in dockerfile.stages:
        steps += [stage.base, *stage.instructions]
    place = next(step.location for step in steps if step.location.line == line)
    return quoted(dockerfile, place).split("\n")


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (1, ["  1 | >>> ARG TAG=1"]),
        (2, ["  2 | >>> FROM registry.example/base:$TAG AS build"]),
        (
            3,
            [
                "  3 | >>> RUN --mount=type=cache,target=/c \\",
                "  4 | >>>     # between",
                "  5 | >>>     --mount=type=secret,id=x \\",
                "  6 | >>>       make",
            ],
        ),
        (7, ["  7 | >>> COPY <<EOF /etc/motd", "  8 | >>> welcome", "  9 | >>> EOF"]),
        (10, ["  10 | >>> ADD https://***@files.example/a /a".replace("  10", " 10")]),
    ],
)
def test_all_lines_of_the_instruction_are_there(line, lines):
    assert at(line) == lines


def test_what_a_terminal_would_obey_is_written_out():
    text = "FROM scratch\nRUN \x1b[2Ja\r\x9b1m\tb \u202e\n"
    assert at(2, text) == ["  2 | >>> RUN \\x1b[2Ja\\r\\x9b1m\tb \\u202e"]


def test_the_mark_stands_below_what_is_written_out():
    step = parse("FROM scratch\nRUN \x1b\x1bmake \x07x\n").stages[0].instructions[0]
    marked = fault_in(step, "\x07x", "wrong")
    assert marked.excerpt.split("\n") == [r"  2 | RUN \x1b\x1bmake \x07x", "    |                  ^^^^^"]


def test_a_part_of_an_instruction_has_its_own_lines():
    dockerfile = parse(TEXT)
    (secret,) = [mount for mount in dockerfile.stages[0].instructions[0].mounts if mount.type == "secret"]
    assert quoted(dockerfile, secret.location) == "  5 | >>>     --mount=type=secret,id=x \\"


def test_long_instructions_are_cut():
    body = "".join(f"line {number}\n" for number in range(40))
    lines = at(2, f"FROM scratch\nRUN <<EOF\n{body}EOF\n")
    assert lines[:2] == ["  2 | >>> RUN <<EOF", "  3 | >>> line 0"]
    assert lines[-1] == "    |     … 30 more lines"
    assert len(lines) == 13
    assert at(2, f"FROM scratch\nRUN echo {'x' * 500}\n")[0].endswith("xx…")


def test_windows_line_ends_are_no_part_of_it():
    assert at(2, "FROM scratch\r\nCOPY a \\\r\n  b\r\n") == ["  2 | >>> COPY a \\", "  3 | >>>   b"]


@pytest.mark.parametrize("place", [Location("other", 2), Location("Dockerfile", 77), Location("Dockerfile")])
def test_a_place_that_is_not_in_the_file_quotes_nothing(place):
    assert quoted(parse(TEXT), place) == ""


def test_errors_with_a_place_quote_it_and_say_so_in_order():
    with pytest.raises(StepError) as caught, quoting(parse(TEXT)):
        raise StepError("failed", hint="try again", location=Location("Dockerfile", 1, 1, 1))
    assert caught.value.describe() == ("Dockerfile:1:1: failed\n      1 | >>> ARG TAG=1\n    hint: try again")
    with pytest.raises(RegistryError) as other, quoting(parse(TEXT)):
        raise RegistryError("down")
    assert other.value.excerpt == ""
