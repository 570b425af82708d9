"""Expressions of HCL and templates in JSON, by the rules of Bake's documentation and HCL's specification."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import InvalidFileError
from runner.buildsfile.findings import Findings
from runner.buildsfile.formats.bakefile import read_hcl, read_json
from runner.buildsfile.nodes import data, from_document
from runner.buildsfile.yamlfile import parse

HEAD = """
variable "V" { default = "1.0" }
variable "N" { default = 2 }
variable "ON" { default = true }
variable "LIST" { default = ["a", "b"] }
variable "MAP" { default = { k = "v", "x.y" = [1, 2] } }
variable "NOTHING" {}
TOP = "top-${V}"
function "twice" {
  params = [s]
  result = "${s}${s}"
}
function "count" {
  params = []
  variadic_params = rest
  result = length(rest)
}
"""


def hcl(text, environment=(), findings=None):
    found = Findings() if findings is None else findings
    file = read_hcl(text.encode(), "docker-bake.hcl", dict(environment), found)
    if findings is None:
        found.check()
    return file


def value(expression, environment=()):
    file = hcl(f'{HEAD}\ntarget "t" {{\n  args = {expression}\n}}\n', environment)
    return data(file.targets["t"])["args"]


TABLE = [
    ('"x"', "x"),
    ("1", 1),
    ("1.5", 1.5),
    ("2.0", 2),
    ("true", True),
    ("null", None),
    ("V", "1.0"),
    ("TOP", "top-1.0"),
    ('"${V}"', "1.0"),
    ('"v${V}-${N}-${ON}"', "v1.0-2-true"),
    ('"\\"q\\" \\n \\u00e9"', '"q" \n é'),
    ('["a", V, [N]]', ["a", "1.0", [2]]),
    ('{ a = V, "b-c" = N, (V) = 1, d : 2 }', {"a": "1.0", "b-c": 2, "1.0": 1, "d": 2}),
    ('V == "1.0" ? "yes" : "no"', "yes"),
    ('!ON || N > 1 && N <= 2 ? "yes" : "no"', "yes"),
    ("1 + 2 * 3 - 4 / 2", 5),
    ("(1 + 2) * 3", 9),
    ("-N + 7 % 4", 1),
    ("LIST[1]", "b"),
    ("LIST.0", "a"),
    ('MAP["k"]', "v"),
    ("MAP.k", "v"),
    ('MAP["x.y"][0]', 1),
    ("[for x in LIST : upper(x)]", ["A", "B"]),
    ('[for x in LIST : x if x != "a"]', ["b"]),
    ('[for i, x in LIST : "${i}${x}"]', ["0a", "1b"]),
    ("{for x in LIST : x => upper(x)}", {"a": "A", "b": "B"}),
    ('{for k, v in MAP : v => k if k == "k"}', {"v": "k"}),
    ('twice("ab")', "abab"),
    ("count(1, 2, 3)", 3),
    ("count(LIST...)", 2),
    ('replace("a.b.c", ".", "-")', "a-b-c"),
    ('regex_replace("v1.2.3", "^v([0-9]+).*", "$1")', "1"),
    ('split("/", "a/b")', ["a", "b"]),
    ('join("-", LIST, ["c"])', "a-b-c"),
    ('concat(LIST, ["c"])', ["a", "b", "c"]),
    ('contains(LIST, "a")', True),
    ("length(LIST)", 2),
    ('format("%s:%d%%", "a", 5)', "a:5%"),
    ('coalesce("", NOTHING, "x")', "x"),
    ("merge(MAP, { k = 2 }).k", 2),
    ("keys(MAP)", ["k", "x.y"]),
    ('lookup(MAP, "no", "d")', "d"),
    ("distinct([1, 2, 1])", [1, 2]),
    ("flatten([[1], [[2]]])", [1, 2]),
    ("element(LIST, 3)", "b"),
    ("range(3)", [0, 1, 2]),
    ("reverse(LIST)", ["b", "a"]),
    ('sort(["b", "a"])', ["a", "b"]),
    ('compact(["a", "", "b"])', ["a", "b"]),
    ('substr("abcdef", 1, 2)', "bc"),
    ('substr("abcdef", -2, -1)', "ef"),
    ('trimprefix("v1", "v")', "1"),
    ('equal(V, "1.0")', True),
    ("and(ON, not(false))", True),
    ("add(1, 2)", 3),
    ('title("a b")', "A B"),
    ('sha256("a")', "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ('jsondecode("[1]")', [1]),
    ('"$${V} %%{x} $5"', "${V} %{x} $5"),
    ('<<E\nFROM ${V}\n"quoted" \\n $${V}\nE\n', 'FROM 1.0\n"quoted" \\n ${V}\n'),
    ("<<-E\n  a\n    b\n  E\n", "a\n  b\n"),
]


def unescaped(result):
    """The value after the phase that fills in variables: what is literal in HCL has its $ doubled before it."""
    match result:
        case str():
            return result.replace("$$", "$")
        case list():
            return [unescaped(item) for item in result]
        case _:
            return result


@pytest.mark.parametrize(("expression", "expected"), TABLE)
def test_expressions(expression, expected):
    found = unescaped(value(expression))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("UNKNOWN", "there is no variable 'UNKNOWN'"),
        ("unknown(1)", "there is no function 'unknown' here"),
        ("MAP.zzz", "there is no key 'zzz'"),
        ("{ (UNKNOWN) = 1 }", "there is no variable 'UNKNOWN'"),
        ('{ "\\l" = 1 }', "cannot be evaluated: \\l is not an escape sequence"),
        ("LIST[7]", "cannot be evaluated: list index out of range"),
        ('"${LIST}"', "cannot be evaluated: a list cannot become text"),
        ('"${NOTHING}"', "cannot be evaluated: a value is null"),
        ("1 / 0", "cannot be evaluated: division by zero"),
        ('1 + "a"', "cannot be evaluated: unsupported operand"),
        ('twice("a", "b")', "cannot be evaluated: the function twice takes 1 arguments, not 2"),
        ("LIST[*].x", "cannot be evaluated: HCL's full splat expr term is not supported"),
        ('"%{ if ON }x%{ endif }"', "cannot be evaluated: HCL's template if start is not supported"),
        ("<<E\n${V\nE\n", "cannot be evaluated: `${` is never closed"),
    ],
)
def test_faults_have_a_place(expression, message):
    findings = Findings()
    hcl(f'{HEAD}\ntarget "t" {{\n  context = "."\n  args = {expression}\n}}\n', findings=findings)
    (found,) = findings.sorted()
    line = HEAD.count("\n") + 4
    assert (found.location.file, found.location.line, found.location.column) == ("docker-bake.hcl", line, 10)
    assert found.message.startswith(message)


def test_what_is_not_hcl():
    with pytest.raises(InvalidFileError) as caught:
        hcl('target "a" {\n  context = \n}\n')
    (found,) = caught.value.diagnostics
    assert (found.location.line, found.message) == (2, "is not HCL from here on")


def test_variables_have_the_values_of_the_environment():
    environment = {"V": "2", "N": "7", "ON": "false", "LIST": '["x"]', "TOP": "is no variable"}
    assert value("[V, N, ON, LIST, TOP]", environment) == ["2", 7, False, ["x"], "top-2"]
    file = hcl(f'{HEAD}\ntarget "t" {{ args = {{ A = "v${{V}}", B = "b" }} }}', environment)
    args = file.targets["t"].entries["args"]
    assert args.entries["A"].origin == ("the variable V",)
    assert args.entries["B"].origin == ()


def test_a_value_of_the_environment_of_another_kind():
    findings = Findings()
    hcl(f'{HEAD}\ntarget "t" {{ args = {{ A = N, B = ON }} }}', {"N": "secret", "ON": "secret"}, findings)
    assert [found.message for found in findings.sorted()] == [
        "cannot be evaluated: the value of N in the environment is not a number"
    ]
    assert "secret" not in str(findings.sorted())


def test_variables_in_a_circle():
    findings = Findings()
    hcl(
        'variable "A" { default = B }\nvariable "B" { default = A }\ntarget "t" { args = { A = A } }', (), findings
    )
    assert any("depends on itself" in found.message for found in findings.sorted())


def test_validation():
    check = 'condition = A != "x"\n    error_message = "not x"'
    text = f'variable "A" {{\n  default = "x"\n  validation {{\n    {check}\n  }}\n}}\n'
    findings = Findings()
    hcl(text, (), findings)
    assert [(found.location.line, found.message) for found in findings.sorted()] == [
        (4, "the variable A is not valid: not x")
    ]
    assert hcl(text, {"A": "y"}).targets == {}


def test_a_validation_without_a_condition():
    findings = Findings()
    hcl('variable "A" {\n  validation {\n    error_message = "x"\n  }\n}\n', (), findings)
    assert [(found.location.line, found.message) for found in findings.sorted()] == [
        (2, "a validation needs a `condition`")
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("range(0, 1000000000000)", "at most 1024 numbers"),
        ("ceil(1e999)", "cannot be evaluated"),
        ('"\\UFFFFFFFF"', "FFFFFFFF is not the number of a character"),
        ('"\\ud83d"', "d83d is not the number of a character"),
    ],
)
def test_values_that_are_too_large_or_none(expression, message):
    findings = Findings()
    hcl(f'target "t" {{\n  tags = [{expression}]\n}}\n', (), findings)
    assert [(found.location.line, message in found.message) for found in findings.sorted()] == [(2, True)]


def test_a_matrix_is_bounded():
    numbers = "range(0, 1000)"
    findings = Findings()
    hcl(
        f'target "t" {{\n  name = "x"\n  matrix = {{ a = {numbers}, b = {numbers}, c = {numbers} }}\n}}\n',
        (),
        findings,
    )
    assert ["at most 10000 combinations" in found.message for found in findings.sorted()] == [True]


def test_a_matrix():
    file = hcl(
        'target "app" {\n'
        '  name = "app-${item.os}-${replace(v, ".", "_")}"\n'
        '  matrix = { item = [{ os = "a" }, { os = "b" }], v = ["1.0", "2.0"] }\n'
        "  args = { OS = item.os, V = v }\n"
        "}\n"
    )
    assert list(file.targets) == ["app-a-1_0", "app-a-2_0", "app-b-1_0", "app-b-2_0"]
    assert data(file.targets["app-b-1_0"]) == {"args": {"OS": "b", "V": "1.0"}}
    assert file.matrices == {"app": tuple(file.targets)}


def test_values_stand_where_they_are_written():
    file = hcl('target "t" {\n  tags = [\n    "a",\n    "b",\n  ]\n}\n')
    tags = file.targets["t"].entries["tags"]
    assert [(item.place.line, item.place.column) for item in tags.items] == [(3, 5), (4, 5)]


@given(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs", "Cc"]), max_size=20))
def test_any_text_comes_through(text):
    quoted = json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    assert unescaped_once(value(quoted)) == text


def unescaped_once(result):
    return result.replace("$$", "$")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("${V}", "1.0"),
        ("${N}", 2),
        ("v${V}-${N}", "v1.0-2"),
        ("${upper(X)}", "ABC"),
        ('${V == "1.0" ? "y" : "n"}!', "y!"),
        ("$${V}", "$${V}"),
        ("plain", "plain"),
    ],
)
def test_templates_in_json(source, expected):
    document = {
        "variable": {"V": {"default": "1.0"}, "N": {"default": 2}, "X": {"default": "abc"}},
        "target": {"t": {"args": {"A": source}}},
    }
    findings = Findings()
    root = from_document(parse(json.dumps(document).encode(), "docker-bake.json"))
    file = read_json(root, "docker-bake.json", {}, findings)
    assert data(file.targets["t"])["args"]["A"] == expected
    assert len(findings) == 0
