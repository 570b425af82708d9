"""What lies over what: files over files, entries over what they inherit and over the defaults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import InvalidFileError, Location
from runner.buildsfile import config
from runner.buildsfile.nodes import Node, data, merged
from runner.model import Overrides


@pytest.fixture
def load(tmp_path):
    """Writes the files given by name, all with contexts beside them; loads those of `files`, or builds.yaml."""

    def loaded(texts, files=("builds.yaml",), environment=(), **overrides):
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            (path.parent / "Dockerfile").write_text("FROM scratch\n")
        return config.load([str(tmp_path / name) for name in files], dict(environment), Overrides(**overrides))

    return loaded


def one(text):
    return {"builds.yaml": text}


def args(run):
    return {image.name: dict(image.build.build_args) for image in run.images}


def faults(load, texts, files=("builds.yaml",)):
    with pytest.raises(InvalidFileError) as caught:
        load(texts, files)
    return [(d.location.line, d.path, d.message) for d in caught.value.diagnostics]


def test_faults_at_the_same_path_of_two_files(load):
    wrong = "version: 1\nbuilds:\n  - {name: NAME, contxt: .}\n"
    texts = {"a.yaml": wrong.replace("NAME", "a"), "b.yaml": wrong.replace("NAME", "b")}
    assert (
        faults(load, texts, ["a.yaml", "b.yaml"]) == [(3, "builds[0].contxt", "the key 'contxt' is not known")] * 2
    )


def test_later_files_lie_over_earlier_ones(load, tmp_path):
    run = load(
        {
            "a.yaml": "version: 1\ndefaults: {no_push: true, args: {D: a, E: a}}\n"
            "builds:\n  - {name: x, args: {A: a, B: a}, tags: [r.io/1, r.io/2]}\n  - {name: y}\n",
            "sub/b.yaml": "version: 1\ndefaults: {args: {E: b}}\n"
            "builds:\n  - {name: z}\n  - {name: x, args: {B: b}, tags: [r.io/3]}\n",
        },
        ["a.yaml", "sub/b.yaml"],
    )
    assert args(run) == {
        "x": {"D": "a", "E": "b", "A": "a", "B": "b"},
        "y": {"D": "a", "E": "b"},
        "z": {"D": "a", "E": "b"},
    }
    assert run.images[0].build.output.destinations == ("r.io/3",)
    assert run.images[1].build.context == str(tmp_path)
    assert run.images[2].build.context == str(tmp_path / "sub")


def test_paths_start_at_the_folder_of_their_file(load, tmp_path):
    run = load(
        {
            "common/c.yaml": "version: 1\ndefaults: {context: ctx, tar_path: out.tar, secrets: {s: {file: s}}}\n",
            "common/ctx/d.yaml": "",
            "builds.yaml": "version: 1\ninclude: [common/c.yaml]\nbuilds: [{name: a, cache: {from: ['dir:c']}}]\n",
        }
    )
    build = run.images[0].build
    assert build.context == str(tmp_path / "common" / "ctx")
    assert build.output.tar_path == str(tmp_path / "common" / "out.tar")
    assert build.secrets[0].path == str(tmp_path / "common" / "s")
    assert build.cache.sources == (f"dir:{tmp_path}/c",)


def test_an_included_file_comes_before_and_only_once(load):
    run = load(
        {
            "base.yaml": "version: 1\ndefaults: {no_push: true, args: {A: base}}\n",
            "left.yaml": "version: 1\ninclude: [base.yaml]\ndefaults: {args: {A: left}}\n",
            "builds.yaml": "version: 1\ninclude: [left.yaml, '${WHERE}/base.yaml']\nbuilds: [{name: x}]\n",
        },
        environment={"WHERE": "."},
    )
    assert args(run) == {"x": {"A": "left"}}


def test_what_cannot_be_included(load):
    texts = {
        "builds.yaml": "version: 1\ninclude:\n  - nope.yaml\n  - other.yaml\nbuilds: [{name: x, no_push: true}]\n",
        "other.yaml": "version: 1\ninclude: [builds.yaml]\n",
    }
    assert faults(load, texts) == [
        (3, "include[0]", "there is no such file"),
        (2, "include[0]", "includes itself"),
    ]


def test_faults_of_all_files(load):
    texts = {
        "a.yaml": "version: 1\nbuilds: [{name: x, contxt: .}]\n",
        "b.yaml": "version: 2\nbuilds: [{name: x, target: 1}]\n",
    }
    assert faults(load, texts, ["a.yaml", "b.yaml"]) == [
        (2, "builds[0].contxt", "the key 'contxt' is not known"),
        (1, "version", "must be 1, not the number '2'"),
        (2, "builds[0].target", "must be text, not the number '1'"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\n", "the key `builds` is missing"),
        ("version: 1\nbuilds: [{name: _a}]\n", "no image"),
    ],
)
def test_a_list_without_images(load, text, message):
    assert faults(load, one(text)) == [(1, "", message)]


def test_inherits(load):
    run = load(
        one(
            "version: 1\n"
            "defaults: {no_push: true, target: default, args: {D: d}}\n"
            "builds:\n"
            "  - {name: web, inherits: [_one, _two], args: {W: w}}\n"
            "  - {name: _one, description: not for heirs, target: one, args: {A: one, B: one}}\n"
            "  - {name: _two, inherits: [_zero], args: {B: two}}\n"
            "  - {name: _zero, args: {B: zero, Z: zero}, labels: {l: zero}}\n"
            "  - {name: api, inherits: [web]}\n"
            "  - {name: plain}\n"
        )
    )
    assert args(run) == {
        "web": {"D": "d", "A": "one", "B": "two", "Z": "zero", "W": "w"},
        "api": {"D": "d", "A": "one", "B": "two", "Z": "zero", "W": "w"},
        "plain": {"D": "d"},
    }
    assert [image.build.target for image in run.images] == ["one", "one", "default"]
    assert [dict(image.build.labels) for image in run.images] == [{"l": "zero"}, {"l": "zero"}, {}]


def test_what_cannot_be_inherited(load):
    text = (
        "version: 1\ndefaults: {no_push: true}\nbuilds:\n"
        "  - {name: a, inherits: [_bse]}\n"
        "  - {name: _base, inherits: [b]}\n"
        "  - {name: b, inherits: [_base]}\n"
        "  - {name: c, inherits: [c]}\n"
        "  - {name: d, inherits: [broken]}\n"
        "  - {name: broken, target: 1}\n"
    )
    assert faults(load, one(text)) == [
        (4, "builds[0].inherits[0]", "there is no entry '_bse' to inherit from"),
        (6, "builds[2].inherits[0]", "'_base' inherits from itself"),
        (7, "builds[3].inherits[0]", "'c' inherits from itself"),
        (9, "builds[5].target", "must be text, not the number '1'"),
    ]


def test_a_setting_reaches_those_that_inherit(load):
    text = "version: 1\nbuilds:\n  - {name: _a, no_push: true}\n  - {name: b, inherits: [_a]}\n"
    assert args(load(one(text), settings=("_a.args.A=1",))) == {"b": {"A": "1"}}


values = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=12,
)
maps = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def tree(value):
    match value:
        case dict():
            content = {key: tree(item) for key, item in value.items()}
        case list():
            content = [tree(item) for item in value]
        case _:
            content = value
    return Node(value=content, place=Location("f"))


def laid(over, base):
    """The rule, said once more."""
    if not (isinstance(over, dict) and isinstance(base, dict)):
        return over
    return {**base, **{key: laid(over[key], base[key]) if key in base else over[key] for key in over}}


@given(maps, maps)
def test_merging_is_by_key(over, base):
    assert data(merged(tree(over), tree(base))) == laid(over, base)


@given(maps, maps, maps)
def test_merging_is_associative(a, b, c):
    one_way = merged(tree(a), merged(tree(b), tree(c)))
    assert data(one_way) == data(merged(merged(tree(a), tree(b)), tree(c))) or _replaced_between(a, b, c)


def _replaced_between(a, b, c):
    """A value that is no map, between two maps of one key, hides the lower one only from the left."""
    if not (isinstance(a, dict) and isinstance(c, dict)):
        return False
    if not isinstance(b, dict):
        return True
    return any(_replaced_between(a[key], b[key], c[key]) for key in a.keys() & b.keys() & c.keys())


@given(maps)
def test_merging_with_nothing_and_with_itself(value):
    assert data(merged(tree(value), tree({}))) == value
    assert data(merged(tree({}), tree(value))) == value
    assert data(merged(tree(value), tree(value))) == value
