import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.buildsfile import nodes, yamlfile
from runner.buildsfile.findings import Findings
from runner.buildsfile.interpolate import expand, filled, parse

ENVIRONMENT = {"A": "alpha", "EMPTY": "", "N": "3", "T": "true", "V": "3.10", "ODD": "${A} }", "SECRET": "hunter2"}

TABLE = [
    ("", ""),
    ("plain", "plain"),
    ("}", "}"),
    ("a}b{c", "a}b{c"),
    ("$A", "alpha"),
    ("${A}", "alpha"),
    ("x${A}y$A.z", "xalphayalpha.z"),
    ("${A}}", "alpha}"),
    ("$$A", "$A"),
    ("$$$A", "$alpha"),
    ("$${A}", "${A}"),
    ("${EMPTY}", ""),
    # default
    ("${A:-x}", "alpha"),
    ("${A-x}", "alpha"),
    ("${EMPTY:-x}", "x"),
    ("${EMPTY-x}", ""),
    ("${UNSET:-x}", "x"),
    ("${UNSET-x}", "x"),
    ("${UNSET:-}", ""),
    ("${UNSET:-a:-b}", "a:-b"),
    ("${UNSET:-$$}", "$"),
    # required
    ("${A:?m}", "alpha"),
    ("${A?m}", "alpha"),
    ("${EMPTY?m}", ""),
    # alternative
    ("${A:+x}", "x"),
    ("${A+x}", "x"),
    ("${EMPTY:+x}", ""),
    ("${EMPTY+x}", "x"),
    ("${UNSET:+x}", ""),
    ("${UNSET+x}", ""),
    # nested
    ("${UNSET:-${A}}", "alpha"),
    ("${UNSET:-${ALSO_UNSET:-${A}-z}}!", "alpha-z!"),
    ("${A:+<${N}>}", "<3>"),
    ("${A:-${UNSET}}", "alpha"),
    ("${A:-${UNSET:?not needed}}", "alpha"),
    ("${UNSET:+${ALSO_UNSET}}", ""),
    # values are not read again
    ("${ODD}", "${A} }"),
]

FAULTS = [
    ("$UNSET", "the variable UNSET is not set"),
    ("${UNSET}", "the variable UNSET is not set"),
    ("${UNSET:?give it}", "the variable UNSET is not set: give it"),
    ("${UNSET?give it}", "the variable UNSET is not set: give it"),
    ("${UNSET:?}", "the variable UNSET is not set"),
    ("${EMPTY:?give it}", "the variable EMPTY is empty: give it"),
    ("${UNSET:-${ALSO_UNSET}}", "the variable ALSO_UNSET is not set"),
    ("${UNSET:?not ${SECRET}}", "the variable UNSET is not set: not ${SECRET}"),
    ("$", "`$` is not a variable"),
    ("a $ b", "`$ ` is not a variable"),
    ("$1", "`$1` is not a variable"),
    ("$(x)", "`$(` is not a variable"),
    ("${", "`${` is not followed by a name"),
    ("${}", "`${` is not followed by a name"),
    ("${1}", "`${` is not followed by a name"),
    ("${A", "`${A` is followed by neither `}` nor an operator"),
    ("${A b}", "`${A` is followed by neither `}` nor an operator"),
    ("${A=x}", "`${A` is followed by neither `}` nor an operator"),
    ("${A:-x", "`${` is never closed"),
    ("${A:-${B}", "`${` is never closed"),
    ("${A:-" * 30 + "x" + "}" * 30, "variables are nested deeper than 20"),
]


def fill(text, environment=ENVIRONMENT):
    findings = Findings()
    root = filled(nodes.from_document(yamlfile.parse(text.encode(), "f.yaml")), environment, findings)
    return nodes.to_document(root, "f.yaml"), findings


def messages(findings):
    return [(d.location.line, d.location.column, d.path, d.message) for d in findings.sorted()]


@pytest.mark.parametrize(("source", "text"), TABLE)
def test_table(source, text):
    document, findings = fill(f"a: '{source}'")
    assert messages(findings) == []
    assert document.value == {"a": text}


@pytest.mark.parametrize(("source", "message"), FAULTS)
def test_faults(source, message):
    _, findings = fill(f"a:\n  - '{source}'")
    assert messages(findings) == [(2, 5, "a[0]", message)]
    assert all(d.hint for d in findings.sorted())


def test_all_faults_at_once_and_no_value_of_the_environment_in_them():
    _, findings = fill("a: $UNSET $ALSO_UNSET\nb: ['${', '${SECRET}${UNSET:?$SECRET}']\n")
    assert [line for line, *_ in messages(findings)] == [1, 1, 2, 2]
    assert "hunter2" not in "".join(str(d) for d in findings.sorted())


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("${N}", 3),
        ("$N", 3),
        ("${T}", True),
        ("${V}", 3.1),
        ("${N}${N}", 33),
        ("${UNSET:-false}", False),
        ("${UNSET:-}", None),
        ("'${N}'", "3"),
        ('"${T}"', "true"),
        ("-${N}", "-3"),
        ("${N} ", 3),
        ("v${N}", "v3"),
        ("!!str ${N}", "3"),
    ],
)
def test_a_plain_scalar_of_variables_alone_gets_its_type_anew(source, value):
    document, findings = fill(f"a: {source}")
    assert messages(findings) == []
    assert document.value["a"] == value
    assert type(document.value["a"]) is type(value)


def test_the_text_stays_beside_the_value():
    document, _ = fill("a: ${V}")
    assert (document.text(("a",)), document.quote(("a",))) == ("3.10", "'${V}'")


def test_keys_and_structure_are_out_of_reach():
    document, _ = fill("$A: 1\nb: ${X}", {"X": "{c: 1}\nd: [2]"})
    assert document.value == {"$A": 1, "b": "{c: 1}\nd: [2]"}


def test_values_that_are_not_text():
    _, findings = fill("a: $B", {"B": b"\xff".decode("utf-8", "surrogateescape")})
    assert messages(findings) == [(1, 4, "a", "the variable B is not UTF-8 text")]


@given(st.text())
def test_escaped_dollars_come_back(text):
    complaints = []
    parts = parse(text.replace("$", "$$"))
    assert expand(parts, {}, lambda *fault: complaints.append(fault)) == text
    assert complaints == []


@given(st.text(st.characters(exclude_characters="$}", codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_a_default_is_its_text_and_a_value_is_taken_as_it_is(default, value):
    assert expand(parse("<${V:-" + default + "}>"), {}, lambda *_: None) == f"<{default}>"
    assert expand(parse("<${V}>"), {"V": value}, lambda *_: None) == f"<{value}>"
