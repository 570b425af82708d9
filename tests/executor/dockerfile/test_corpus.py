"""The parser against the files of tests/corpus/dockerfile.

    good/NAME.Dockerfile   parses; NAME.json holds the value: fields at their default are left out,
                           a location is "line:column-last line"
    bad/NAME.Dockerfile    does not; NAME.txt holds the message a user sees

To add a case, add its Dockerfile, run `python -m tests.executor.dockerfile.test_corpus --update` in the
repository's root, and read what it wrote before you commit it.
"""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from executor.dockerfile.parser import parse
from executor.errors import Diagnostic, InvalidFileError, Location

CORPUS = Path(__file__).parents[2] / "corpus" / "dockerfile"
GOOD = sorted((CORPUS / "good").glob("*.Dockerfile"))
BAD = sorted((CORPUS / "bad").glob("*.Dockerfile"))


def plain(value):
    match value:
        case Location():
            return f"{value.line}:{value.column}-{value.end_line}"
        case Diagnostic():
            return str(value).split("\n")
        case tuple():
            return [plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    fields = {
        field.name: plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }
    return {"is": type(value).__name__, **fields}


def result_of_good(path):
    return json.dumps(plain(parse(path.read_bytes())), indent=1, ensure_ascii=False) + "\n"


def result_of_bad(path):
    with pytest.raises(InvalidFileError) as caught:
        parse(path.read_bytes())
    return f"{caught.value}\n"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_parses_to_its_value(path):
    assert json.loads(result_of_good(path)) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_all_its_faults(path):
    assert result_of_bad(path) == path.with_suffix(".txt").read_text()


def test_no_expectation_is_left_over():
    inputs = {path.with_suffix("") for path in (*GOOD, *BAD)}
    assert {path.with_suffix("") for path in CORPUS.glob("*/*.*")} == inputs
    assert len(GOOD) >= 20
    assert len(BAD) >= 20


def update():
    for path in GOOD:
        path.with_suffix(".json").write_text(result_of_good(path))
    for path in BAD:
        path.with_suffix(".txt").write_text(result_of_bad(path))


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    update()
