"""`--resume`: which images of an earlier run are kept, which are only pushed, and which are built again."""

import json

import pytest

from executor.errors import Error, Location, UsageError
from executor.explanation import Explanation
from executor.spec import BuildSpec, OutputSpec, WaitingImage
from runner.executor import Executor
from runner.model import ImageSpec
from runner.planning.plan import PlannedImage, RunPlan
from runner.run.earlier import EarlierImage, read_earlier, read_keys
from runner.run.resuming import resumption

DIGESTS = {name: f"sha256:{letter * 64}" for name, letter in (("base", "a"), ("web", "b"), ("other", "c"))}


def image(name, needs=(), **output):
    reference = f"r.io/{name}:1"
    destinations = () if output.get("no_push") else (reference,)
    build = BuildSpec(context=name, output=OutputSpec(destinations=destinations, **output))
    spec = ImageSpec(name=name, build=build, references=(reference,), location=Location("f"))
    return PlannedImage(image=spec, needs=tuple(needs))


PLAN = RunPlan(images=(image("base"), image("web", ["base"]), image("other", ["web"])))  # other only waits for web


def earlier(**changes):
    usual = {"status": "built", "size": 5, "pushed": (), "entry": {}}
    known = {
        name: EarlierImage(**{"inputs": f"of {name}", "digest": digest, **usual, **(changes.get(name) or {})})
        for name, digest in DIGESTS.items()
    }
    return {name: known[name] for name in known if changes.get(name, "") is not None}


class Machine:
    """An Executor whose registries have what was pushed, and whose images are made of what they were made of."""

    def __init__(self):
        self.inputs = {name: f"of {name}" for name in DIGESTS}
        self.tags = dict(DIGESTS)
        self.waiting = ()
        self.asked = []

    def explain(self, spec):
        self.asked.append((spec.context, dict(spec.local_images)))
        if self.inputs[spec.context] is None:
            raise Error("the registry does not answer")
        return Explanation(inputs=self.inputs[spec.context], places=(), steps=())

    def resumption(self, plan=PLAN, before=None):
        made = Executor(
            load_entry=None,
            base_images=lambda spec: ("r.io/base:1",) if spec.context == "web" else (),
            explain=self.explain,
            holds=lambda spec, digest: self.tags[spec.context] == digest,
            waiting_images=lambda _home: self.waiting,
        )
        return resumption(plan, earlier() if before is None else before, made, "")


def test_what_is_pushed_and_has_not_changed_is_kept():
    found = Machine().resumption()
    assert set(found.kept) == {"base", "web", "other"}
    web = found.kept["web"]
    assert (web.kept, web.status, web.digest, web.size) == (True, "built", DIGESTS["web"], 5)
    assert web.pushed == (f"r.io/web:1@{DIGESTS['web']}",)


def test_what_has_changed_is_built_and_so_is_what_builds_upon_it():
    machine = Machine()
    machine.inputs["base"] = "something else"
    assert set(machine.resumption().kept) == {"other"}
    assert [name for name, _ in machine.asked] == ["base", "other"]  # of web the answer is known


def test_a_tag_that_was_moved_is_pushed_again():
    machine = Machine()
    machine.tags["web"] = DIGESTS["other"]
    assert set(machine.resumption().kept) == {"base", "other"}


@pytest.mark.parametrize(
    "change", [None, {"inputs": ""}, {"digest": ""}], ids=["not in the report", "inputs unknown", "not built"]
)
def test_what_is_not_known_is_built(change):
    assert set(Machine().resumption(before=earlier(web=change)).kept) == {"base", "other"}


@pytest.mark.parametrize("output", [{"no_push": True}, {"tar_path": "/t"}, {"digest_file": "/d"}])
def test_what_leaves_more_than_tags_is_built(output):
    plan = RunPlan(images=(image("base", **output), image("web", ["base"]), image("other")))
    assert set(Machine().resumption(plan).kept) == {"other"}


def test_an_error_is_left_to_the_build():
    machine = Machine()
    machine.inputs["other"] = None
    assert set(machine.resumption().kept) == {"base", "web"}


def test_what_waits_in_the_store_is_only_pushed():
    machine = Machine()
    machine.tags["base"] = ""
    keep = PLAN.images[0].image.keep
    machine.waiting = (WaitingImage(keep=keep, name="base", digest=DIGESTS["base"]),)
    found = machine.resumption()
    assert (set(found.built), set(found.kept)) == ({"base"}, {"web", "other"})
    assert not found.built["base"].kept
    assert ("web", {"r.io/base:1": DIGESTS["base"]}) in machine.asked  # it is not in the registry yet


def test_another_image_that_waits_for_the_same_tag_does_not_count():
    machine = Machine()
    machine.tags["base"] = ""
    machine.waiting = (WaitingImage(keep=PLAN.images[0].image.keep, name="base", digest=DIGESTS["other"]),)
    assert machine.resumption().built == {}


class TestReadingTheReports:
    def test_no_reports(self, tmp_path):
        assert read_earlier(str(tmp_path)) is None
        assert read_keys(str(tmp_path), "web") == {}

    @pytest.mark.parametrize(
        "text", ["", "[]", "[" * 100_000, "{}", '{"images": {"web": {}}}', '{"images": {"web": 1}}']
    )
    def test_other_files(self, tmp_path, text):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(UsageError, match="not a report of this version"):
            read_earlier(str(tmp_path))

    def test_a_folder_in_the_place_of_the_report(self, tmp_path):
        (tmp_path / "result.json").mkdir()
        with pytest.raises(UsageError, match=r"result\.json: Is a directory"):
            read_earlier(str(tmp_path))

    def test_keys(self, tmp_path):
        (tmp_path / "keys").mkdir()
        for text, expected in (("{", {}), ('{"steps": {"a": {"stage": 0}}}', {"a": {"stage": 0}})):
            (tmp_path / "keys" / "web.json").write_text(text)
            assert read_keys(str(tmp_path), "web") == expected

    def test_an_image(self, tmp_path):
        entry = {"status": "built", "inputs": "i", "digest": "d", "size": 3, "pushed": ["p"], "log": ""}
        (tmp_path / "result.json").write_text(json.dumps({"images": {"web": entry}}))
        found = read_earlier(str(tmp_path))["web"]
        assert (found.inputs, found.digest, found.size, found.pushed) == ("i", "d", 3, ("p",))
        assert found.entry == entry
