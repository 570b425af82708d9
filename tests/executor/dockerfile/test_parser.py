"""What the corpus does not show: properties of every input, triggers, and where things stand."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.dockerfile.grammar import ROWS
from executor.dockerfile.instructions import Copy, Heredoc, Instruction, Run, ShellForm
from executor.dockerfile.parser import parse, parse_trigger
from executor.errors import InvalidFileError, Location

from .test_corpus import GOOD

MARKS = [*"#\\`'\"[]$},=a1é", "${", "--", "--x", "--mount=", "--from=", "type=cache", "<<EOF", "<<-'A'"]
ODD = ["\n", "\\\n", "\r\n", " ", "\t", "FROM a\n", "EOF\n", "# escape=`\n", "\u00a0", "\ud800", "\0", "\ufeff"]
PIECES = st.sampled_from([*(f"{keyword} " for keyword in ROWS), *MARKS, *ODD, "9" * 5000, "[" * 3000])


def check_parses_or_is_refused(text):
    try:
        dockerfile = parse(text)
    except InvalidFileError as error:
        check_faults(error)
        return
    lines = (text if isinstance(text, str) else text.decode("utf-8", "replace")).count("\n") + 1
    instructions = [*dockerfile.global_args, *(s.base for s in dockerfile.stages)]
    instructions += [i for stage in dockerfile.stages for i in stage.instructions]
    for instruction in instructions:
        check_place(instruction, lines)


def check_faults(error):
    assert error.diagnostics
    assert all(fault.location.line >= 1 for fault in error.diagnostics)
    str(error).encode()


def check_place(instruction: Instruction, lines):
    place = instruction.location
    assert 1 <= place.line <= place.end_line <= lines
    assert place.column >= 1
    repr(dataclasses.astuple(instruction)).encode()


@given(st.lists(PIECES, max_size=25).map("".join))
def test_pieces_of_dockerfiles_parse_or_are_refused(text):
    check_parses_or_is_refused(text)


@given(st.text() | st.binary())
def test_anything_parses_or_is_refused(text):
    check_parses_or_is_refused(text)


@settings(max_examples=200)
@given(st.sampled_from(GOOD), st.data())
def test_mutated_files_parse_or_are_refused(path, data):
    text = path.read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.binary(max_size=4)) + text[end:]
    check_parses_or_is_refused(text)


@given(st.lists(st.sampled_from(["RUN x", "COPY a b", "ENV a=1", "USER u", "LABEL a=b \\\n  c=d"]), max_size=8))
def test_instructions_keep_their_order_and_their_source(texts):
    stage = parse("FROM a\n" + "\n".join(texts)).stages[0]
    assert [instruction.source for instruction in stage.instructions] == texts


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_a_heredoc_holds_its_lines_as_written(body):
    content = body if not body or body.endswith("\n") else body + "\n"
    copy = parse(f"FROM a\nCOPY <<'-E-O-F-' /x\n{content}-E-O-F-\n").stages[0].instructions[0]
    assert isinstance(copy, Copy)
    assert copy.documents == (Heredoc("-E-O-F-", content, expand=False, written=content),)


def test_the_file_name_is_in_every_message():
    with pytest.raises(InvalidFileError) as caught:
        parse("FROM a\nRNU x", "sub/Dockerfile.dev")
    assert str(caught.value).startswith("sub/Dockerfile.dev:2:1: unknown instruction 'RNU'")
    assert caught.value.exit_code == 2


def test_text_and_bytes_are_the_same():
    assert (
        parse("\ufeffFROM ä AS b\n")
        == parse("FROM ä AS b\n".encode())
        == parse("FROM ä AS b\n".encode("utf-8-sig"))
    )


def test_a_fault_in_a_continued_line_is_shown_where_it_is():
    with pytest.raises(InvalidFileError) as caught:
        parse("FROM a\nRUN --network=none \\\n  # comment\n  --mont=x \\\n  y\n")
    (fault,) = caught.value.diagnostics
    assert fault.location == Location("Dockerfile", 4, 3, 4)
    assert fault.excerpt == "  4 |   --mont=x \\\n    |   ^^^^^^^^"


def test_a_space_in_a_mount_is_named_as_the_fault():
    with pytest.raises(InvalidFileError, match="a comma of the mount has no key behind it") as caught:
        parse("FROM a\nRUN --mount=type=secret, id=x y\n")
    assert "no spaces" in caught.value.diagnostics[0].hint


AT = Location("Dockerfile", 3, 1, 3)


def test_a_trigger_stands_where_its_from_stands():
    run = parse_trigger("RUN cat <<-E\n\tx\nE", AT)
    assert isinstance(run, Run)
    assert run.location == AT
    assert run.command == ShellForm("cat <<-E", (Heredoc("E", "x\n", strip_tabs=True, written="\tx\n"),))


def test_a_trigger_is_read_with_the_files_escape():
    copy = parse_trigger("COPY a `\n b", AT, "`")
    assert isinstance(copy, Copy)
    assert (copy.sources, copy.destination) == (("a",), "b")


def test_an_onbuild_expression_is_a_trigger():
    onbuild = parse("FROM a\nONBUILD COPY <<x <<-y /\n1\nx\n\t2\n\ty\n").stages[0].instructions[0]
    copy = parse_trigger(onbuild.expression, AT)
    assert isinstance(copy, Copy)
    assert [document.content for document in copy.documents] == ["1\n", "2\n"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "not a single instruction"),
        ("RUN a\nRUN b", "not a single instruction"),
        ("FROM a", "not a single instruction"),
        ("RNU x", "unknown instruction 'RNU'"),
        ("RUN --mont=x y", "unknown flag --mont"),
        ("RUN <<EOF\nx", "unterminated heredoc"),
        ("RUN \0", "NUL"),
    ],
)
def test_a_bad_trigger_is_refused_at_its_from(expression, message):
    with pytest.raises(InvalidFileError, match=message) as caught:
        parse_trigger(expression, AT)
    assert all(fault.location.file == "Dockerfile" for fault in caught.value.diagnostics)


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("FROM a\n// b\n", 1, "a comment begins with #"),
        ("{{ if b }}\nFROM a\n", 1, "this is a template, which has to be rendered first"),
        ("# escape=`\nFROM a\nRUN b && `\n  c\n  --d\n", 3, "a comment begins with #"),
        ("# escape=`\nFROM a\nRUN b && `\n  c\n  xyz\n", 3, "end its last line with `"),
        ("FROM a # b\n", 8, "write it in a line of its own"),
        ("FROM a\nENV b=“c d”\n", 10, "with straight quotes"),
        ("FROM a\nRUN <<E\nb\n E\n", 7, "in line 4 spaces stand beside it"),
        ("FROM a\nRUN --mount=type=cahce,target=/b c\n", 13, "did you mean cache?"),
        ("FROM a\nRUN --mount=target=/b,\"tpye=cache\" c\n", 24, "did you mean type?"),
    ],
)  # fmt: skip
def test_what_is_commonly_got_wrong_has_its_place_and_a_way_out(text, column, hint):
    with pytest.raises(InvalidFileError) as caught:
        parse(text)
    (fault,) = caught.value.diagnostics
    assert fault.location.column == column
    assert hint in fault.hint


def test_of_a_file_that_is_something_else_the_first_faults_are_told():
    with pytest.raises(InvalidFileError) as caught:
        parse("FROM a\n" + "nonsense\n" * 50)
    found = caught.value.diagnostics
    assert [fault.location.line for fault in found] == list(range(2, 23))
    assert found[-1].message == "and 30 more faults: is this a Dockerfile?"
