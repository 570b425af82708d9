"""Matrix, targets and groups."""

import contextlib
import itertools
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import InvalidFileError
from executor.spec import CacheOptions
from runner.buildsfile import config, schema
from runner.buildsfile.expansion import drafts
from runner.buildsfile.findings import Findings
from runner.buildsfile.interpolate import filled
from runner.buildsfile.nodes import data, from_document
from runner.buildsfile.yamlfile import parse
from runner.model import Overrides
from runner.planning.plan import plan


@pytest.fixture
def load(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch AS a\nFROM scratch AS b\n")
    path = tmp_path / "builds.yaml"

    def loaded(text, environment=(), **overrides):
        path.write_text("version: 1\ndefaults: {no_push: true}\n" + text)
        return config.load(str(path), dict(environment), Overrides(**overrides))

    return loaded


def faults(load, text):
    with pytest.raises(InvalidFileError) as caught:
        load(text)
    return [(d.location.line, d.path, d.message) for d in caught.value.diagnostics]


def test_a_matrix(load):
    run = load(
        """\
builds:
  - name: py-${version}-${base.name}
    matrix:
      version: [3.9, "3.10"]
      base: [{name: slim, args: {FROM: debian}}, {name: alpine, args: {FROM: alpine}}]
    args:
      VERSION: ${version}
      TEXT: v${version}
      BASE: ${base.args.FROM}
    labels: ${base.args}
    destinations: ["r.io/py:${version}-${base.name}"]
"""
    )
    assert [image.name for image in run.images] == [
        "py-3.9-slim",
        "py-3.9-alpine",
        "py-3.10-slim",
        "py-3.10-alpine",
    ]
    image = run.images[3]
    assert image.build.build_args == {"VERSION": "3.10", "TEXT": "v3.10", "BASE": "alpine"}
    assert image.build.labels == {"FROM": "alpine"}
    assert image.references == ("r.io/py:3.10-alpine",)


def test_the_values_of_a_matrix_may_come_from_outside(load):
    run = load("builds: [{name: 'a-${v}', matrix: {v: ['${ONE}', $TWO]}}]", {"ONE": "1", "TWO": "2", "v": "no"})
    assert [image.name for image in run.images] == ["a-1", "a-2"]


@pytest.mark.parametrize(
    ("entry", "line", "path", "message"),
    [
        ("{name: a, matrix: {v: [1, 2]}}", 3, "builds[0].name", "the name 'a' is taken"),
        ("{name: a, matrix: {v: []}}", 3, "builds[0].matrix.v", "must have at least one item"),
        ("{name: a, matrix: [v]}", 3, "builds[0].matrix", "must be a mapping, not a list"),
        ("{name: 'a-${w}', matrix: {v: [1]}}", 3, "builds[0].name", "the variable w is not set"),
        (
            "{name: a, matrix: {v: [%s], w: [%s]}}" % (("1, " * 40,) * 2),
            3,
            "builds[0].matrix",
            "makes 1600 images",
        ),
        (
            "{name: a, target: x, targets: [y]}",
            3,
            "builds[0].target",
            "`target` and `targets` contradict each other",
        ),
        ("{name: a, targets: {y: 1}}", 3, "builds[0].targets.y", "must be a mapping, not the number '1'"),
    ],
)
def test_mistakes(load, entry, line, path, message):
    assert faults(load, f"builds: [{entry}]") == [(line, path, message)]


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1))
def test_a_matrix_is_the_product(matrix):
    text = f"name: n\nmatrix: {matrix}\nargs: {{{', '.join(f'{key}: ${key}' for key in matrix)}}}\n"
    findings = Findings()
    found = drafts(from_document(parse(text.encode(), "f")), {}, findings)
    values = [data(filled(draft.node, {}, findings, draft.scope))["args"] for draft in found]
    assert values == [dict(zip(matrix, chosen, strict=True)) for chosen in itertools.product(*matrix.values())]
    assert len(findings) == 0


def test_targets_of_one_dockerfile(load):
    run = load(
        "builds:\n"
        "  - {name: app, targets: [a, b], tags: ['r.io/${target}:1'], args: {X: y}}\n"
        "  - {name: own, targets: {a: {tags: [r.io/own], args: {X: a}}, b: {}}, args: {X: y}}\n",
    )
    assert [(image.name, image.build.target, image.family) for image in run.images] == [
        ("app-a", "a", "app"),
        ("app-b", "b", "app"),
        ("own-a", "a", "own"),
        ("own-b", "b", "own"),
    ]
    assert [image.build.output.destinations for image in run.images[:3]] == [
        ("r.io/a:1",),
        ("r.io/b:1",),
        ("r.io/own",),
    ]
    assert [image.build.build_args["X"] for image in run.images] == ["y", "y", "a", "y"]
    assert run.groups == {"app": ("app-a", "app-b"), "own": ("own-a", "own-b")}
    run_plan = plan(run, lambda spec: ()).sharing_in("/run/shared")
    shared = CacheOptions(enabled=True, repositories=("dir:/run/shared/app",), size=0, copy_layers=True)
    assert [planned.image.build.cache for planned in run_plan.images[:2]] == [shared, shared]
    assert [planned.after for planned in run_plan.images] == [(), ("app-a",), (), ("own-a",)]


def test_targets_with_a_cache_of_their_own_share_that(load):
    run = load("builds: [{name: app, targets: [a, b], cache: {repositories: [r.io/c]}}]")
    images = [planned.image for planned in plan(run, lambda spec: ()).sharing_in("/run/shared").images]
    assert {image.build.cache.repositories for image in images} == {("r.io/c",)}


def test_targets_of_a_matrix(load):
    run = load("builds: [{name: 'x${v}', matrix: {v: [1, 2]}, targets: [a, b]}]")
    assert [image.name for image in run.images] == ["x1-a", "x1-b", "x2-a", "x2-b"]
    assert run.groups == {"x1": ("x1-a", "x1-b"), "x2": ("x2-a", "x2-b")}


def test_groups(load):
    run = load(
        "groups:\n"
        "  all: [front, back, '${EXTRA}']\n"
        "  front: [web, 'ui-*']\n"
        "  back: [api, app]\n"
        "builds:\n"
        "  - {name: api}\n  - {name: ui-b}\n  - {name: web}\n  - {name: ui-a}\n  - {name: other}\n  - {name: _t}\n"
        "  - {name: app, targets: [a, b]}\n",
        {"EXTRA": "other"},
    )
    assert run.groups == {
        "all": ("api", "ui-b", "web", "ui-a", "other", "app-a", "app-b"),
        "front": ("ui-b", "web", "ui-a"),
        "back": ("api", "app-a", "app-b"),
        "app": ("app-a", "app-b"),
    }


def test_a_group_may_have_the_name_of_an_image(load):
    run = load("groups: {web: [web, api]}\nbuilds: [{name: api}, {name: web}]")
    assert run.groups == {"web": ("api", "web")}


def test_mistakes_in_groups(load):
    text = "groups:\n  a: [wbe]\n  b: [c]\n  c: [b, web]\nbuilds: [{name: web}]\n"
    assert faults(load, text) == [
        (4, "groups.a[0]", "there is no image and no group 'wbe'"),
        (5, "groups.b[0]", "the group 'c' is in itself"),
        (6, "groups.c[0]", "the group 'b' is in itself"),
    ]


def test_a_fault_of_all_images_of_a_matrix_is_said_once(load):
    text = "builds: [{name: 'a-${v}', matrix: {v: [1, 2]}, args: 5, cache: [x], platforms: x}]"
    assert [path for _, path, _ in faults(load, text)] == [
        "builds[0].args",
        "builds[0].cache",
        "builds[0].platforms",
    ]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", "a", "${X}", "$", "${v.a}", "type=x", "id=a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "id", "type", "v"]), inner),
    max_leaves=4,
)
KEYS = sorted(schema.bundled()["$defs"]["build"]["properties"])


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), values, max_size=5), max_size=3), values, values)
def test_no_file_is_a_bug_of_ours(builds, groups, defaults):
    """Whatever a file says, it is a list or its faults."""
    document = {"version": 1, "groups": groups, "defaults": defaults, "builds": builds}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "builds.yaml"
        path.write_text(json.dumps(document))
        with contextlib.suppress(InvalidFileError):
            config.load(str(path), {"X": "1"}, Overrides())
