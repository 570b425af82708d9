import json
import string
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import InvalidFileError
from runner.buildsfile import yamlfile


def parse(text):
    return yamlfile.parse(text.encode() if isinstance(text, str) else text, "f.yaml")


def place(location):
    return location.line, location.column


def test_values_and_places():
    document = parse("a: 1\nb:\n  - x\n  - {c: 'y', d: 3.10}\n")
    assert document.value == {"a": 1, "b": ["x", {"c": "y", "d": 3.1}]}
    assert {path: place(where) for path, where in document.positions.items()} == {
        (): (1, 1),
        ("a",): (1, 4),
        ("b",): (3, 3),
        ("b", 0): (3, 5),
        ("b", 1): (4, 5),
        ("b", 1, "c"): (4, 9),
        ("b", 1, "d"): (4, 17),
    }
    assert {path: place(where) for path, where in document.keys.items()} == {
        ("a",): (1, 1),
        ("b",): (2, 1),
        ("b", 1, "c"): (4, 6),
        ("b", 1, "d"): (4, 14),
    }
    assert document.text(("b", 1, "d")) == "3.10"
    assert document.quote(("b", 1, "c")) == "'y'"
    assert document.quote(("b",)) == "this value"


def test_keys_are_texts():
    assert parse("on: 1\n1.0: 2\n~: 3\n").value == {"on": 1, "1.0": 2, "~": 3}


def test_byte_order_mark():
    assert parse(b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_quoted_and_tagged_scalars_are_text():
    assert parse("[\"1\", '2', !!str 3]").value == ["1", "2", "3"]
    assert parse("a: |\n  7\nb: >-\n  8\n").value == {"a": "7\n", "b": "8"}


def test_characters_that_json_writes_as_two():
    assert parse(json.dumps({"\U0001f600": "\U0001f600 é"})).value == {"\U0001f600": "\U0001f600 é"}


def test_anchors_and_merges():
    document = parse(
        "x: &x {k: 1, l: 2}\ny: &y\n  l: 3\n  m: 4\nfirst: {<<: [*x, *y], m: 9}\nsecond:\n  <<: *y\n  l: 0\n"
    )
    assert document.value["first"] == {"k": 1, "l": 2, "m": 9}
    assert document.value["second"] == {"l": 0, "m": 4}
    assert place(document.positions["first", "l"]) == (1, 17), "the place of the anchor's value"
    assert place(document.positions["second", "m"]) == (4, 6)
    assert place(document.keys["second", "l"]) == (8, 3)


def test_merges_of_merges():
    document = parse("a: &a {k: 1, l: 1}\nb: &b {<<: *a, l: 2}\nc: {<<: *b, m: 3}\n")
    assert document.value["c"] == {"k": 1, "l": 2, "m": 3}


def test_a_quoted_merge_key_is_a_key():
    assert parse("a: {'<<': 1}").value == {"a": {"<<": 1}}


def bomb(line, first="a0: &a0 [x, x, x, x, x, x, x, x, x, x]", count=9):
    return "\n".join([first, *(line(i) for i in range(1, count))])


FAULTS = {
    "empty": ("", 1, 1, "is empty"),
    "comment": ("# nothing\n", 1, 1, "is empty"),
    "tab": ("a: 1\nb:\n\t- x", 3, 1, "'\\t'"),
    "indentation": ("a:\n  b: 1\n c: 2\n", 3, 2, "expected <block end>"),
    "colon in value": ("a: b: c", 1, 5, "mapping values are not allowed"),
    "no colon": ("a: 1\nb\nc: 2", 3, 1, "could not find expected ':'"),
    "open quote": ("a: 1\nb: 'x\n", 2, 4, "unexpected end of stream"),
    "open brace": ("a: {b: 1\n", 1, 4, "opened and never closed"),
    "brace that goes on": ("a: {b: 1\nc: 2\n", 2, 2, "a comma is missing"),
    "open bracket": ("a: 1\nb: [1,\n", 3, 1, "opened and never closed"),
    "variable in braces": ("a: {b: ${C}}", 1, 9, "expected ',' or '}'"),
    "reserved": ("a: @x", 1, 4, "cannot start any token"),
    "undefined alias": ("a: *x", 1, 4, "undefined alias"),
    "documents": ("a: 1\n---\nb: 2", 2, 1, "single document"),
    "encoding": (b"a: 1\nb: \xff", 2, 4, "is not UTF-8 text"),
    "utf-16": ("a: 1".encode("utf-16"), 1, 1, "is not UTF-8 text"),
    "control character": ("a: 1\nb: x\x07", 2, 5, "control character '\\x07'"),
    "no character": ('a: "\\U00110000"', 1, 7, "a number that is too large"),
    "no number": ('a: "\\UFFFFFFFF"', 1, 7, "a number that is too large"),
    "half a character": ('a: 1\nb: "\\ud83d"', 2, 4, "half of a character"),
    "version": (f"%YAML {'9' * 5000}.1\n--- a", 1, 7, "a number that is too large"),
    "duplicate": ("a: 1\nb: 2\na: 3", 3, 1, "the key 'a' is given twice"),
    "list as key": ("? [a]\n: b", 1, 3, "a key must be"),
    "tag": ("a: !secret x", 1, 4, "the tag !secret is not supported"),
    "binary": ("a: !!binary aGk=", 1, 4, "the tag !!binary is not supported"),
    "set": ("a: !!set {x}", 1, 4, "the tag !!set is not supported"),
    "merge of a number": ("a: {<<: 3}", 1, 9, "can merge mappings only"),
    "contains itself": ("a: &a [*a]", 1, 4, "contains itself"),
    "merges itself": ("a: &a {<<: *a}", 1, 4, "merges itself"),
    "deep": ("[" * 100, 1, 60, "nested deeper"),
    "bomb": (bomb(lambda i: f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]"), 0, 0, "grows beyond"),
    "merge bomb": (
        bomb(lambda i: f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}", "a0: &a0 {x: 1}"),
        1,
        5,
        "grows beyond",
    ),
    "deep by aliases": (bomb(lambda i: f"a{i}: &a{i} [*a{i - 1}]", count=3000), 0, 0, "nested too deeply"),
    "deep by merges": (
        bomb(lambda i: f"a{i}: &a{i} {{<<: *a{i - 1}}}", "a0: &a0 {x: 1}", 3000),
        0,
        0,
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    text, line, column, message = FAULTS[name]
    with pytest.raises(InvalidFileError) as caught:
        parse(text)
    (diagnostic,) = caught.value.diagnostics
    assert message in f"{diagnostic.message} {diagnostic.hint}"
    if line:
        assert place(diagnostic.location) == (line, column)
    assert str(diagnostic).startswith("f.yaml:")


def test_faults_of_structure_come_all_at_once():
    with pytest.raises(InvalidFileError) as caught:
        parse("b: !x 1\na: {c: 1, c: 2}\na: 3\n")
    assert [place(d.location) for d in caught.value.diagnostics] == [(1, 4), (2, 11), (3, 1)]
    assert [d.path for d in caught.value.diagnostics] == ["b", "a.c", "a"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.yaml", "No such file"),
        (lambda folder: folder, "Is a directory"),
        (lambda _: "/dev/zero", "larger than"),
    ],
)
def test_unreadable(tmp_path, make, message):
    with pytest.raises(InvalidFileError, match=message):
        yamlfile.parse(yamlfile.read_bytes(str(make(tmp_path))), "builds.yaml")


_LETTERS = string.ascii_lowercase
words = st.builds(add, st.sampled_from(_LETTERS), st.text(f"{_LETTERS}{string.digits}_", max_size=8))
texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=12)
leaves = st.one_of(st.integers(), st.booleans(), st.none(), texts)
trees = st.recursive(
    leaves, lambda t: st.lists(t, max_size=4) | st.dictionaries(words, t, max_size=4), max_leaves=20
)


def write(value, indent, lines):
    """Block style, one scalar a line; yields (path, line, column) of what it writes."""
    pad = " " * indent
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        head = f"{pad}{key}:" if isinstance(value, dict) else f"{pad}-"
        if isinstance(item, dict | list) and item:
            lines.append(head)
            first = len(lines) + 1
            yield (key,), first, indent + 3
            for path, line, column in write(item, indent + 2, lines):
                yield (key, *path), line, column
        else:
            lines.append(f"{head} {json.dumps(item, ensure_ascii=False)}")
            yield (key,), len(lines), len(head) + 2


@given(st.dictionaries(words, trees, min_size=1, max_size=5))
def test_every_value_has_its_place(tree):
    lines = []
    expected = {path: (line, column) for path, line, column in write(tree, 0, lines)}
    document = parse("\n".join(lines))
    assert document.value == tree
    assert {path: place(document.positions[path]) for path in expected} == expected
    assert all(document.keys[path].line <= document.positions[path].line for path in document.keys)
