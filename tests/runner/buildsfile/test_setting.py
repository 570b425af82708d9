import pytest

from executor.errors import InvalidFileError, UsageError
from runner.buildsfile import config
from runner.buildsfile.expansion import Draft
from runner.buildsfile.nodes import data, from_document
from runner.buildsfile.setting import with_settings
from runner.buildsfile.yamlfile import parse
from runner.model import Overrides

TEXT = b"""version: 1
builds:
  - name: web
    args: {A: '1', B: '2'}
  - name: web-1.2
  - name: tool
    push: {retries: 2}
"""


def drafts_of(text):
    builds = from_document(parse(text, "f.yaml")).entries["builds"]
    return [Draft(node=node, name=node.entries["name"].text) for node in builds.items]


def after(*settings):
    return with_settings(drafts_of(TEXT), settings)


def entries(*settings):
    return {draft.name: data(draft.node) for draft in after(*settings)}


@pytest.mark.parametrize(
    ("setting", "name", "expected"),
    [
        ("web.target=final", "web", {"target": "final", "args": {"A": "1", "B": "2"}}),
        ("web.target=", "web", {"target": "", "args": {"A": "1", "B": "2"}}),
        ("web.args.A=9", "web", {"args": {"A": 9, "B": "2"}}),
        ("web.args={C: x}", "web", {"args": {"C": "x"}}),
        ("tool.args.C=x=y", "tool", {"push": {"retries": 2}, "args": {"C": "x=y"}}),
        (
            "tool.labels.org.example.title=x",
            "tool",
            {"push": {"retries": 2}, "labels": {"org.example.title": "x"}},
        ),
        ("tool.push.retries=5", "tool", {"push": {"retries": 5}}),
        ("tool.push.backoff.max=5", "tool", {"push": {"retries": 2, "backoff": {"max": 5}}}),
        ("tool.no_push=true", "tool", {"push": {"retries": 2}, "no_push": True}),
        ("tool.tags=[r.io/a:1, r.io/b]", "tool", {"push": {"retries": 2}, "destinations": ["r.io/a:1", "r.io/b"]}),
        ("web-1.2.target=x", "web-1.2", {"target": "x"}),
    ],
)
def test_a_setting(setting, name, expected):
    changed = entries(setting)
    assert changed[name] == {"name": name, **expected}
    untouched = entries()
    assert {other: changed[other] for other in changed if other != name} == {
        other: untouched[other] for other in untouched if other != name
    }


def test_a_pattern_sets_several():
    assert {name: entry.get("target") for name, entry in entries("web*.target=x").items()} == {
        "web": "x",
        "web-1.2": "x",
        "tool": None,
    }


def test_the_last_counts():
    assert entries("web.target=a", "*.target=b")["web"]["target"] == "b"
    assert entries("*.target=b", "web.target=a")["web"]["target"] == "a"


def test_the_entries_given_stay_as_they_are():
    drafts = drafts_of(TEXT)
    with_settings(drafts, ["web.args.A=9"])
    assert data(drafts[0].node)["args"]["A"] == "1"


def test_a_key_may_be_called_as_bake_calls_it():
    (web, *_) = after("web.tags=[r.io/a]", "web.no-cache=true")
    assert {"destinations", "no_cache"} <= data(web.node).keys()


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("web.target", "--set 'web.target' has no value", "write NAME.KEY=VALUE"),
        ("web=1", "--set 'web' names no image and key", "write NAME.KEY=VALUE"),
        ("tol.target=x", "--set 'tol.target' names no image and key", "did you mean 'tool'?"),
        ("=x", "--set '' names no image and key", "write NAME.KEY=VALUE"),
    ],
)
def test_mistakes(setting, message, hint):
    with pytest.raises(UsageError) as caught:
        after(setting)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_value_that_is_no_yaml():
    with pytest.raises(InvalidFileError) as caught:
        after("web.tags=[a, b")
    assert caught.value.diagnostics[0].location.file == "--set web.tags"


@pytest.fixture
def load(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    path = tmp_path / "builds.yaml"

    def loaded(text, *settings, environment=()):
        path.write_text(text)
        return config.load(str(path), dict(environment), Overrides(settings=settings))

    return loaded


@pytest.mark.parametrize("text", ["version: 1", "[]", "builds: 3", "x"])
def test_a_file_of_another_shape_is_left_to_the_schema(load, text):
    with pytest.raises(InvalidFileError):
        load(text, "web.target=x")


def test_a_setting_wins_over_entry_and_defaults(load):
    text = "version: 1\ndefaults: {no_push: true, args: {A: '1', B: '2'}}\nbuilds: [{name: a, args: {B: '3'}}]\n"
    assert dict(load(text, "a.args.A=3.10").images[0].build.build_args) == {"A": "3.10", "B": "3"}


def test_a_variable_that_is_replaced_need_not_be_set(load):
    text = "version: 1\nbuilds: [{name: a, no_push: true, target: '${NOT_SET}'}]\n"
    with pytest.raises(InvalidFileError):
        load(text)
    assert load(text, "a.target=x").images[0].build.target == "x"


def test_variables_in_a_value(load):
    text = "version: 1\nbuilds: [{name: a, no_push: true}]\n"
    image = load(text, "a.args.A=${V}-$$", environment={"V": "1"}).images[0]
    assert dict(image.build.build_args) == {"A": "1-$"}


def test_faults_name_the_option(load):
    text = "version: 1\nbuilds: [{name: a, no_push: true}]\n"
    with pytest.raises(InvalidFileError) as caught:
        load(text, "a.platform=x", "a.pusch.retries=2")
    assert [str(fault.location) for fault in caught.value.diagnostics] == [
        "--set a.platform",
        "--set a.pusch.retries",
    ]
