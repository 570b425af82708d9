"""`krunner plan --explain` as text and as JSON: what would be built, what the cache has, what has changed."""

import json

import pytest
from jsonschema import Draft202012Validator

from executor.errors import Error, Location
from executor.explanation import Explanation, StepExplanation
from executor.spec import BuildSpec, OutputSpec
from runner.buildsfile import schema
from runner.executor import Executor
from runner.model import ImageSpec
from runner.planning.explaining import Explaining, as_json, described
from runner.planning.plan import PlannedImage, RunPlan


def image(name, *needs):
    reference = f"r.io/{name}:1"
    build = BuildSpec(context=name, output=OutputSpec(destinations=(reference,)))
    spec = ImageSpec(name=name, build=build, references=(reference,), location=Location("f"))
    return PlannedImage(image=spec, needs=needs)


def step(key, instruction, state="cached", *, document=None, **more):
    return StepExplanation(
        stage=0, platform="linux/amd64", instruction=instruction, state=state, key=key * 64,
        document=document or {"step": "run", "parent": "p", "argv": [instruction]}, **more,
    )  # fmt: skip


PLAN = RunPlan(images=(image("base"), image("web", "base"), image("alone", "web")))
CACHED = Explanation(
    inputs="i", places=("r.io/cache",), steps=(step("a", "RUN a", place="r.io/cache"),), digest="sha256:d"
)
BUILT = Explanation(
    inputs="j",
    places=("r.io/cache", "dir:/c"),
    steps=(step("b", "COPY . /", place="dir:/c"), step("c", "RUN make", "runs", reason="upon others")),
    warnings=("the cache is slow",),
)
UNCACHED = Explanation(inputs="k", places=(), steps=(step("d", "RUN x", "runs"),))


def reports(answers, inputs=None, keys=None):
    asked = []

    def explain(spec):
        asked.append((spec.context, dict(spec.local_images)))
        if isinstance(answers[spec.context], Error):
            raise answers[spec.context]
        return answers[spec.context]

    def base_images(spec):
        return ("r.io/base:1",) if spec.context == "web" else ()

    made = Executor(load_entry=None, base_images=base_images, explain=explain)
    known = Explaining(PLAN, made, inputs or {}, lambda name: (keys or {}).get(name, {}))
    return known.reports(), asked


def test_a_list():
    found, asked = reports({"base": CACHED, "web": BUILT, "alone": UNCACHED}, {"base": "x", "web": "old"})
    assert described(found).splitlines() == [
        "base is in the cache: 1 of 1 step cached; other inputs than in the last run",
        "  cache in r.io/cache",
        "  stage 0 for linux/amd64",
        "    cached      aaaaaaaaaaaa  RUN a",
        "web would be built: 1 of 2 steps cached; other inputs than in the last run",
        "  warning: the cache is slow",
        "  cache in r.io/cache, dir:/c",
        "  stage 0 for linux/amd64",
        "    cached      bbbbbbbbbbbb  COPY . /",
        "                              in dir:/c",
        "    runs        cccccccccccc  RUN make",
        "                              upon others",
        "alone would be built: it has no layer cache",
        "  stage 0 for linux/amd64",
        "    runs        dddddddddddd  RUN x",
    ]
    assert asked[1] == ("web", {"r.io/base:1": "sha256:d"})  # built upon the image that the cache gives


def test_what_builds_upon_an_image_that_is_built_is_built():
    found, asked = reports({"base": BUILT, "alone": CACHED})
    assert [(report.name, report.fate) for report in found] == [
        ("base", "built"),
        ("web", "built"),
        ("alone", "cached"),
    ]
    assert found[1].because == "it builds upon base, which is built"
    assert [name for name, _ in asked] == ["base", "alone"]


def test_an_image_that_is_as_it_was_is_taken_from_the_registry():
    found, asked = reports({"base": CACHED, "web": BUILT, "alone": UNCACHED}, {"base": "i"})
    assert found[0].same_inputs
    assert asked[1] == ("web", {})


def test_an_image_that_would_fail_says_why():
    found, _ = reports({"base": CACHED, "web": Error("there is no r.io/x"), "alone": CACHED})
    assert described(found[1:2]) == "web would fail: there is no r.io/x"


RUN = {
    "step": "run",
    "parent": "p",
    "argv": ["make"],
    "environment": {"A": "1", "B": "2"},
    "cwd": "/",
    "flags": {},
}
COPY = {"step": "copy", "parent": "p", "inputs": [{"file": "x"}], "destination": "/", "cwd": "/"}


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        (RUN, {**RUN, "argv": ["make", "all"]}, ("the command",)),
        (RUN, {**RUN, "environment": {"A": "9", "C": "3"}}, ("environment: A, B, C",)),
        (RUN, {**RUN, "cwd": "/src"}, ("cwd",)),
        (RUN, {**RUN, "parent": "q"}, ("the base or how layers are written",)),
        (COPY, {**COPY, "inputs": [{"file": "y"}]}, ("what is copied",)),
        (COPY, {**COPY, "inputs": []}, ("the number of files that are copied",)),
        (COPY, RUN, ("it is new",)),
        (None, RUN, ("it is new",)),
    ],
)
def test_what_has_changed_in_a_key(before, now, changed):
    known = {"e" * 64: {"stage": 0, "platform": "linux/amd64", "instruction": "I", "document": before}}
    if before is None:
        known["e" * 64] |= {"stage": 1, "document": RUN}
    answer = Explanation(inputs="i", places=("p",), steps=(step("f", "I", "runs", document=now),))
    found, _ = reports(dict.fromkeys(("base", "web", "alone"), answer), keys={"base": known})
    assert found[0].steps[0].changed == changed


def test_a_key_that_is_as_it_was_has_not_changed():
    known = {"f" * 64: {"stage": 0, "platform": "linux/amd64", "instruction": "I", "document": RUN}}
    answer = Explanation(inputs="i", places=("p",), steps=(step("f", "I", "runs", document=RUN),))
    found, _ = reports(dict.fromkeys(("base", "web", "alone"), answer), keys={"base": known})
    assert found[0].steps[0].changed == ()


def test_json_is_as_its_schema_says():
    validator = Draft202012Validator(json.loads(schema.text("plan")))
    validator.check_schema(validator.schema)
    found, _ = reports({"base": CACHED, "web": BUILT, "alone": UNCACHED})
    document = json.loads(as_json(PLAN, found))
    assert [error.message for error in validator.iter_errors(document)] == []
    assert [entry["explanation"]["fate"] for entry in document["images"]] == ["cached", "built", "built"]
    without = json.loads(as_json(PLAN, None))
    assert [error.message for error in validator.iter_errors(without)] == []
    assert without["images"][1] == {
        "name": "web",
        "needs": ["base"],
        "destinations": ["r.io/web:1"],
        "explanation": None,
    }
    for wrong in ({"version": 2}, {"images": [{}]}, {"surprise": 1}):
        assert list(validator.iter_errors({**document, **wrong})) != []
