"""`krunner plan --print`: the resolved list as a file, which gives the same images again."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import Location
from runner.buildsfile import config
from runner.buildsfile.findings import Findings
from runner.buildsfile.interpolate import filled
from runner.buildsfile.nodes import Node, data, from_document
from runner.buildsfile.printing import printed
from runner.buildsfile.yamlfile import Scalar, parse
from runner.cli import main
from runner.model import Overrides

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted([*EXAMPLES.glob("**/builds.yaml"), *EXAMPLES.glob("formats/[dc]*.[hjy]*")])
VARIABLES = {"REGISTRY": "localhost:5000", "CI_REGISTRY_IMAGE": "localhost:5000/group"}


def tree(value):
    match value:
        case dict():
            content = {key: tree(item) for key, item in value.items()}
        case list():
            content = [tree(item) for item in value]
        case _:
            content = value
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool | int) else value
    scalar = Scalar(text, text, plain=not isinstance(value, str)) if isinstance(value, str | int) else None
    return Node(value=content, place=Location("f"), scalar=scalar)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "true",
        "1.0",
        "~",
        "a: b",
        "#",
        "- a",
        "$A ${B}",
        "a\nb\n",
        " a\nb\n",
        "a\n\n b\n",
        "\n",
        "a\n\n",
        "x\n",
        "null",
        "0x1",
        "a b",
    ]
)
trees = st.recursive(
    texts | st.integers(-99, 99) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts.filter(lambda key: key != "<<"), trees, min_size=1, max_size=4))
def test_what_is_printed_is_read_again(value):
    text = printed(tree(value))
    findings = Findings()
    assert data(filled(from_document(parse(text.encode(), "f")), {}, findings)) == _masked(value)
    assert len(findings) == 0


def _masked(value):
    """What the printer hides in a text that looks like a URL with a user in it."""
    match value:
        case dict():
            return {key: _masked(item) for key, item in value.items()}
        case list():
            return [_masked(item) for item in value]
        case str():
            return re.sub(r"(?<=://)[^/@\s]+(?=@)", "***", value)
        case _:
            return value


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_examples_give_the_same_images_again(path, tmp_path):
    run = config.load(str(path), VARIABLES, Overrides())
    text = printed(config.resolve(str(path), VARIABLES).as_file({image.name for image in run.images}))
    (tmp_path / "builds.yaml").write_text(text)
    again = config.load(str(tmp_path / "builds.yaml"), {}, Overrides())
    assert [image.build for image in again.images] == [image.build for image in run.images]
    assert [image.references for image in again.images] == [image.references for image in run.images]
    assert again.groups == run.groups


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(tmp_path)

    def shown(text, *words, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "builds.yaml").write_text(text)
        assert main(["plan", "builds.yaml", "--print", *words]) == 0
        return capsys.readouterr().out.replace(str(tmp_path), "HERE")

    return shown


TEXT = """\
version: 1
push: end
defaults:
  no_push: true
  args: {A: "1"}
builds:
  - name: _base
    args: {B: "${TAG}"}
  - name: web-${v}
    inherits: [_base]
    matrix: {v: [3.10, "x y"]}
    args: {V: "${v}", PASSWORD: hunter2, PRICE: $$5}
    needs: [other]
  - {name: other, dockerfile-inline: "FROM scratch\\nCOPY a b\\n"}
"""


def test_all_of_it(show):
    assert (
        show(TEXT.replace('"x y"', "2"), TAG="7")
        == """\
version: 1
push: end
builds:
  - name: web-3.10
    no_push: true
    args:
      A: "1"
      B: "7"
      V: "3.10"
      PASSWORD: "***"
      PRICE: $$5
    needs:
      - other
    context: HERE
    dockerfile: HERE/Dockerfile
  - name: web-2
    no_push: true
    args:
      A: "1"
      B: "7"
      V: "2"
      PASSWORD: "***"
      PRICE: $$5
    needs:
      - other
    context: HERE
    dockerfile: HERE/Dockerfile
  - name: other
    no_push: true
    args:
      A: "1"
    dockerfile_inline: |
      FROM scratch
      COPY a b
    context: HERE
""".replace("PRICE: $$5", 'PRICE: "$$5"')
    )


def origins(text):
    lines = (line.partition("  # ") for line in text.splitlines() if "  # " in line)
    return {head.strip(): origin for head, _, origin in lines}


def test_where_values_come_from(show):
    text = TEXT.replace('"x y"', "2")
    found = origins(show(text, "--origin", "--only", "web-2", "--set", "web-2.args.S=9", TAG="7"))
    assert found["no_push: true"] == "builds.yaml:4:12, defaults"
    assert found['A: "1"'] == "builds.yaml:5:13, defaults"
    assert found['B: "7"'] == "builds.yaml:8:15, the variable TAG, inherits _base"
    assert found['V: "2"'] == "builds.yaml:12:15, matrix v"
    assert found["S: 9"] == "--set web-2.args.S, --set"
    assert found["dockerfile: HERE/Dockerfile"] == "builds.yaml:9:5, by default"


@pytest.mark.parametrize(
    ("entry", "hidden"),
    [
        ("args: {NPM_TOKEN: hunter2}", "hunter2"),
        ("labels: {api-key: x, apiKey: hunter2}", "hunter2"),
        ("args: {X: '${MY_SECRET}'}", "hunter2"),
        ("args: {http_proxy: 'http://user:hunter2@proxy:1'}", "hunter2"),
        ("context: 'https://hunter2@example.org/x.git'", "hunter2"),
    ],
)
def test_secrets_are_masked(show, entry, hidden):
    text = show(f"version: 1\nbuilds: [{{name: a, no_push: true, {entry}}}]\n", MY_SECRET="hunter2")
    assert "***" in text
    assert hidden not in text


def test_a_printed_file_can_be_piped_into_the_next_command(show, capsys, monkeypatch):
    text = show("version: 1\nbuilds: [{name: a, no_push: true}, {name: b, no_push: true, needs: [a]}]\n")
    read, write = os.pipe()
    os.write(write, text.replace("HERE", os.getcwd()).encode())
    os.close(write)
    saved = os.dup(0)
    os.dup2(read, 0)
    try:
        assert main(["plan", "-"]) == 0
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(read)
    assert capsys.readouterr().out == "1 a\n2 b  needs a\n"


def test_origin_needs_print(show, capsys):
    show("version: 1\nbuilds: [{name: a, no_push: true}]\n")
    assert main(["plan", "builds.yaml", "--origin"]) == 2
    assert "--origin needs --print" in capsys.readouterr().err


def test_stages(show, capsys):
    show("version: 1\nbuilds: [{name: a, no_push: true}]\n")
    assert main(["plan", "builds.yaml", "--stages"]) == 0
    assert re.search(r"1 a\n\na\n  stage 0 from scratch for linux/\w+", capsys.readouterr().out)
