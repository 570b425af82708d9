"""What the report files say of a run, made from events; junit.xml is read as a CI server would."""

import dataclasses
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from executor import events
from executor.errors import Diagnostic, InvalidFileError, Location, StepError, UsageError
from runner.buildsfile import schema
from runner.outcome import Outcome, RunReport
from runner.report.folder import ReportFolder
from runner.report.imagerecord import TAIL_LINES
from runner.report.junit import junit
from runner.report.names import ambiguous, digests, dotenv, too_large_for_gitlab, variable
from runner.report.plaintext import xml_text
from runner.report.record import RunRecord
from runner.report.result import result
from runner.run.earlier import read_keys
from runner.runevents import (
    ImageEvent,
    ImageFinished,
    ImageKept,
    ImageOutput,
    ImageStarted,
    RunFinished,
    RunStarted,
    TimePassed,
)

DIGEST = "sha256:" + "0" * 64
LAYER = "sha256:" + "1" * 64
DESCRIPTOR = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": DIGEST, "size": 7}
INPUTS = "2" * 64
KEYS = {"3" * 64: {"stage": 0, "platform": "linux/amd64", "instruction": "RUN x", "document": {"step": "run"}}}
BUILT = Outcome(name="web", status="built", seconds=3.5, digest=DIGEST, size=3000, pushed=(f"r/web:1@{DIGEST}",))
BAD = Outcome(
    name="bad",
    status="failed",
    seconds=1,
    kind="RunError",
    message="status 2\nof make",
    hint="look",
    file="D",
    line=3,
    excerpt="  3 | >>> RUN make",
)
SKIPPED = Outcome(name="upon", status="skipped", message="needs bad, which failed")


def push(reference):
    return events.PushFinished(
        reference=reference, digest=DIGEST, sent=1, mounted=2, existing=3, size=1000, seconds=0.25
    )


WEB = [
    ImageStarted(name="web", position=1, total=3),
    ImageEvent(name="web", event=events.DriverChosen(driver="overlay", reason="works")),
    ImageEvent(
        name="web",
        event=events.PullFinished(reference="r/x:1", digest=DIGEST, layers=2, size=28_300_000, seconds=1.5),
    ),
    ImageEvent(name="web", event=events.LayerUnpacked(digest=LAYER, size=900, downloaded=True, seconds=1.0)),
    ImageEvent(name="web", event=events.StageStarted(index=0, name="make", base="r/x:1", position=1, total=1)),
    ImageEvent(name="web", event=events.StepStarted(stage=0, position=1, total=2, instruction="RUN make")),
    ImageEvent(name="web", event=events.CommandOutput(line="gcc x.c")),
    ImageEvent(name="web", event=events.LayerWritten(stage=0, position=1, digest=LAYER, size=5000, seconds=0.5)),
    ImageEvent(
        name="web",
        event=events.StepFinished(
            stage=0,
            position=1,
            instruction="RUN make",
            seconds=2.0,
            layer_digest=LAYER,
            layer_size=5000,
            cached=True,
        ),
    ),
    ImageEvent(name="web", event=events.Warned(message="old syntax", location="Dockerfile:3")),
    ImageEvent(name="web", event=events.ImageBuilt(digest=DIGEST, size=3000, layers=4)),
    ImageEvent(name="web", event=events.RetryScheduled(action="push", error="503", attempt=2, wait=1.25)),
    ImageEvent(
        name="web",
        event=events.BlobPushed(repository="r/web", digest=LAYER, size=5000, how="sent", seconds=0.75),
    ),
    ImageEvent(name="web", event=push("r/web:1")),
    ImageEvent(name="web", event=push("r/web:2")),
    ImageEvent(name="web", event=events.InputsFound(inputs=INPUTS, steps=KEYS)),
    ImageEvent(
        name="web",
        event=events.BuildSucceeded(
            result={
                "config_digest": LAYER,
                "descriptor": DESCRIPTOR,
                "platform": "linux/amd64",
                "driver": "overlay",
            }
        ),
    ),
    ImageFinished(outcome=BUILT),
]
BEGUN = RunStarted(
    file="a/builds.v2.yaml",
    images=("web", "bad", "upon"),
    jobs=2,
    time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)
REST = [
    ImageStarted(name="bad", position=2, total=3),
    ImageEvent(name="bad", event=events.StepStarted(stage=0, position=1, total=2, instruction="RUN make")),
    ImageOutput(name="bad", line="\x1b[31mred\x1b[0m and \x00 bell \x07"),
    ImageFinished(outcome=BAD),
    ImageFinished(outcome=SKIPPED),
]
END = RunFinished(report=RunReport(outcomes=(BUILT, BAD, SKIPPED), seconds=7.25))


def recorded(*told):
    """A record of events a second apart."""
    record = RunRecord()
    for at, event in enumerate(told):
        record.note(dataclasses.replace(event, at=100.0 + at))
    return record


def cases(document):
    return {case.get("name"): case for case in ET.fromstring(document).iter("testcase")}


def properties(case):
    return [(item.get("name"), item.get("value")) for item in case.iter("property")]


def conforms(document):
    kind = json.loads(schema.text("result"))
    Draft202012Validator.check_schema(kind)
    errors = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(kind).iter_errors(document)]
    assert errors == []


class TestJunit:
    def test_counts(self):
        root = ET.fromstring(junit(recorded(BEGUN, *WEB, *REST, END)))
        assert root.tag == "testsuites"
        (suite,) = root
        counts = {"tests": "3", "failures": "1", "errors": "0", "time": "7.250"}
        assert root.attrib == {"name": "krunner", **counts}
        assert {**suite.attrib, **counts, "skipped": "1"} == suite.attrib
        assert suite.get("timestamp") == "2026-01-02T03:04:05+00:00"

    def test_an_image_is_a_case_and_its_stages_are_properties(self):
        case = cases(junit(recorded(BEGUN, *WEB)))["web"]
        assert (case.get("classname"), case.get("time")) == ("krunner.builds_v2", "3.500")
        assert [child.tag for child in case] == ["properties"]
        assert properties(case) == [
            ("status", "built"),
            ("digest", DIGEST),
            ("size", "3000"),
            ("pushed", f"r/web:1@{DIGEST}"),
            ("pushed", f"r/web:2@{DIGEST}"),
            ("stage 0 (make)", "1 step, 1 cached in 2.0 s, from r/x:1"),
            ("retries", "1"),
            ("retried", "push: 503"),
            ("warning", "Dockerfile:3: old syntax"),
        ]

    def test_a_failure_has_the_message_and_the_end_of_the_log(self):
        case = cases(junit(recorded(BEGUN, *REST)))["bad"]
        failure = case.find("failure")
        assert (failure.get("type"), failure.get("message")) == ("RunError", "status 2")
        assert failure.text == (
            "status 2\nof make\n  3 | >>> RUN make\nhint: look\n\nthe end of the log:\n"
            "    [0: 1/2] RUN make\n    red and \ufffd bell \ufffd\n"
        )

    def test_the_end_of_a_log_is_bounded(self):
        lines = [ImageOutput(name="bad", line=f"{number} " + "x" * 100_000) for number in range(TAIL_LINES + 5)]
        text = cases(junit(recorded(BEGUN, *lines, ImageFinished(outcome=BAD))))["bad"].find("failure").text
        assert "\n    4 x" not in text
        assert "\n    5 x" in text
        assert len(text) < 2100 * TAIL_LINES

    @pytest.mark.parametrize(
        ("outcome", "tag"),
        [
            (Outcome(name="web", status="failed", kind="RunError", message="m"), "failure"),
            (Outcome(name="web", status="push failed", kind="PushError", message="m"), "failure"),
            (Outcome(name="web", status="failed", kind="InternalError", message="m"), "error"),
            (Outcome(name="web", status="failed", kind="UnfitError", message="m"), "error"),
            (Outcome(name="web", status="stopped", kind="StoppedError", message="m"), "error"),
            (Outcome(name="web", status="skipped", message="m"), "skipped"),
        ],
    )
    def test_what_went_wrong(self, outcome, tag):
        case = cases(junit(recorded(BEGUN, ImageFinished(outcome=outcome))))["web"]
        assert [(child.tag, child.get("message")) for child in case if child.tag != "properties"] == [(tag, "m")]

    def test_an_image_without_an_end_is_an_error(self):
        root = ET.fromstring(junit(recorded(BEGUN, WEB[0])))
        assert root.get("errors") == "3"
        assert {case.find("error").get("type") for case in root.iter("testcase")} == {"Unfinished"}

    @given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
    def test_any_text_makes_a_document(self, message, line):
        outcome = Outcome(name="bad", status="failed", kind="RunError", message=message, hint=line)
        case = cases(junit(recorded(BEGUN, ImageOutput(name="bad", line=line), ImageFinished(outcome=outcome))))[
            "bad"
        ]
        assert case.find("failure") is not None

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
            ("a\x08\x0b\x1b", "a\ufffd\ufffd\ufffd"),
            ("\ud800\ufffe\uffff", "\ufffd\ufffd\ufffd"),
            ("tab\tnew\nline 😀", "tab\tnew\nline 😀"),
        ],
    )
    def test_characters(self, text, expected):
        assert xml_text(text) == expected

    @pytest.mark.parametrize("count", range(1, len([BEGUN, *WEB, *REST, END]) + 1))
    def test_it_has_no_element_or_attribute_that_readers_do_not_know(self, count):
        """What Ant's and Surefire's schemas and Jenkins's reader have in common; counts are numbers."""
        counts = {"tests", "failures", "errors", "skipped", "time"}
        known = {
            "testsuites": ({"name", *counts} - {"skipped"}, {"testsuite"}),
            "testsuite": ({"name", "timestamp", *counts}, {"testcase"}),
            "testcase": (
                {"name", "classname", "time"},
                {"properties", "failure", "error", "skipped", "flakyFailure", "rerunFailure"},
            ),
            "properties": (set(), {"property"}),
            "property": ({"name", "value"}, set()),
            "failure": ({"message", "type"}, set()),
            "error": ({"message", "type"}, set()),
            "skipped": ({"message"}, set()),
        }
        for element in ET.fromstring(junit(recorded(*[BEGUN, *WEB, *REST, END][:count]))).iter():
            attributes, children = known[element.tag]
            assert set(element.attrib) == attributes
            assert {child.tag for child in element} <= children
            for name in counts & set(element.attrib):
                assert float(element.get(name)) >= 0

    def test_another_reader_understands_it(self):
        (suite,) = junitparser.JUnitXml.fromstring(junit(recorded(BEGUN, *WEB, *REST, END)))
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (3, 1, 0, 1)
        web, bad, upon = suite
        assert (web.is_passed, bad.is_failure, upon.is_skipped) == (True, True, True)
        assert [(entry.type, entry.message) for entry in bad.result] == [("RunError", "status 2")]


class TestResult:
    @pytest.mark.parametrize("count", range(len([BEGUN, *WEB, *REST, END]) + 1))
    def test_at_any_moment_it_is_as_the_schema_says(self, count):
        document = result(recorded(*[BEGUN, *WEB, *REST, END][:count]))
        conforms(json.loads(json.dumps(document)))

    def test_an_image(self):
        image = result(recorded(BEGUN, *WEB))["images"]["web"]
        assert image["started"] == "2026-01-02T03:04:06.000Z"
        assert image["stages"] == [
            {
                "index": 0,
                "name": "make",
                "base": "r/x:1",
                "platform": "",
                "start": 5.0,
                "steps": [
                    {
                        "position": 1,
                        "instruction": "RUN make",
                        "start": 6.0,
                        "seconds": 2.0,
                        "layer_digest": LAYER,
                        "layer_size": 5000,
                        "layer_seconds": 0.5,
                        "layer_end": 8.0,
                        "cached": True,
                    }
                ],
            }
        ]
        assert image["cache_hits"] == 1
        assert image["pulls"][0]["start"] == 1.5
        assert [entry["reference"] for entry in image["pushes"]] == ["r/web:1", "r/web:2"]
        assert image["retries"] == [{"action": "push", "error": "503", "attempt": 2, "wait": 1.25}]
        assert image["warnings"] == [{"message": "old syntax", "location": "Dockerfile:3"}]
        assert (image["status"], image["driver"], image["platform"]) == ("built", "overlay", "linux/amd64")
        assert (image["digest"], image["size"], image["layers"]) == (DIGEST, 3000, 4)
        assert (image["error"], image["log"]) == (None, "logs/web.log")

    def test_where_the_time_went(self):
        image = result(recorded(BEGUN, *WEB))["images"]["web"]
        assert image["phases"] == {
            "pull": 1.5,
            "unpack": 1.0,
            "steps": 1.5,
            "layers": 0.5,
            "upload": 0.75,
            "push": 0.5,
        }
        assert image["unpacks"] == [
            {"digest": LAYER, "size": 900, "downloaded": True, "start": 3.0, "seconds": 1.0}
        ]
        (blob,) = image["blobs"]
        assert (blob["repository"], blob["how"], blob["size"]) == ("r/web", "sent", 5000)

    def test_attempts_before_the_last(self):
        first = [
            ImageEvent(name="web", event=events.BuildStarted(name="web", dockerfile="D", context=".")),
            *WEB[1:6],
            ImageEvent(
                name="web",
                event=events.BuildFailed(
                    kind="RegistryError", message="503", hint="", exit_code=75, retryable=True
                ),
            ),
            ImageEvent(
                name="web", event=events.RetryScheduled(action="build web", error="503", attempt=1, wait=1)
            ),
        ]
        record = recorded(BEGUN, WEB[0], *first, *WEB[1:])
        image = result(record)["images"]["web"]
        conforms(result(record))
        assert image["failed_attempts"] == [
            {"start": 2.0, "seconds": 7.0, "kind": "RegistryError", "message": "503"}
        ]
        assert (image["attempts"], len(image["stages"]), len(image["pulls"])) == (2, 1, 1)
        case = cases(junit(record))["web"]
        assert [
            (item.tag, item.get("type"), item.findtext("stackTrace")) for item in case if item.tag != "properties"
        ] == [("flakyFailure", "RegistryError", "503")]
        assert ("attempts", "2") in properties(case)

    def test_the_keys_of_bake(self):
        image = result(recorded(BEGUN, *WEB))["images"]["web"]
        assert image["containerimage.digest"] == DIGEST
        assert (image["inputs"], image["kept"]) == (INPUTS, False)
        assert image["containerimage.config.digest"] == LAYER
        assert image["containerimage.descriptor"] == DESCRIPTOR
        assert image["image.name"] == "r/web:1,r/web:2"

    def test_an_image_that_was_kept_is_as_the_earlier_run_said(self):
        entry = result(recorded(BEGUN, *WEB))["images"]["web"]
        kept = dataclasses.replace(BUILT, seconds=0.0, kept=True)
        record = recorded(BEGUN, ImageKept(name="web", entry=entry), ImageFinished(outcome=kept))
        conforms(result(record))
        image = result(record)["images"]["web"]
        same = ("inputs", "digest", "size", "layers", "platform", "containerimage.descriptor")
        assert {name: image[name] for name in same} == {name: entry[name] for name in same}
        assert (image["status"], image["kept"], image["attempts"], image["log"]) == ("built", True, 0, "")
        assert image["image.name"] == "r/web:1"
        assert digests(record) == f"r/web:1@{DIGEST}\n"
        assert "WEB_IMAGE=r/web:1@" in dotenv(record)
        case = cases(junit(record))["web"]
        assert ("kept", "built and pushed by an earlier run") in properties(case)
        assert [child.tag for child in case] == ["properties"]

    def test_failed_and_skipped(self):
        images = result(recorded(BEGUN, *WEB, *REST))["images"]
        assert list(images) == ["web", "bad", "upon"]
        assert images["bad"]["error"] == {
            "kind": "RunError",
            "message": "status 2\nof make",
            "hint": "look",
            "retryable": False,
            "file": "D",
            "line": 3,
        }
        assert images["bad"]["stages"][0]["steps"][0]["seconds"] is None
        assert images["upon"]["error"]["message"] == "needs bad, which failed"
        assert (images["upon"]["log"], images["upon"]["started"]) == ("", None)
        assert "containerimage.digest" not in images["bad"]

    def test_until_it_ends_there_is_no_exit_code(self):
        before, after = (result(recorded(BEGUN, *WEB, *REST, *last)) for last in ([], [END]))
        assert (before["finished"], before["exit_code"]) == (False, None)
        assert (after["finished"], after["exit_code"], after["seconds"]) == (True, 1, 7.25)

    def test_a_running_image_has_a_time(self):
        image = result(recorded(BEGUN, *WEB[:3]))["images"]["web"]
        assert image["status"] == "running"
        assert image["seconds"] > 0


class TestNames:
    def test_digests_of_what_registries_hold(self):
        record = recorded(BEGUN, *WEB, *REST, END)
        assert digests(record) == f"r/web:1@{DIGEST}\nr/web:2@{DIGEST}\n"

    def test_a_destination_counts_although_another_failed(self):
        failed = Outcome(name="web", status="push failed", kind="PushError", message="m", digest=DIGEST)
        record = recorded(BEGUN, *WEB[:14], ImageFinished(outcome=failed))
        assert digests(record) == f"r/web:1@{DIGEST}\n"

    def test_dotenv_as_gitlab_reads_it(self):
        text = dotenv(recorded(BEGUN, *WEB, *REST))
        assert text == f"WEB_IMAGE=r/web:1@{DIGEST}\nWEB_DIGEST={DIGEST}\n"
        assert all(re.fullmatch(r"[A-Z_][A-Z0-9_]*=[^\s'\"#]+", line) for line in text.splitlines())

    def test_dotenv_of_an_image_that_was_not_pushed(self):
        assert dotenv(recorded(BEGUN, *WEB[:11])) == f"WEB_DIGEST={DIGEST}\n"

    @pytest.mark.parametrize(
        ("name", "expected"), [("web", "WEB"), ("web-app.1_x", "WEB_APP_1_X"), ("2048", "_2048")]
    )
    def test_variables(self, name, expected):
        assert variable(name) == expected

    def test_two_names_are_never_one_variable(self):
        names = ("a-b", "a.b", "A_B", "ab")
        assert ambiguous(names) == {"a-b", "a.b", "A_B"}
        built = [ImageEvent(name=name, event=events.ImageBuilt(digest=DIGEST, size=1, layers=1)) for name in names]
        assert dotenv(recorded(RunStarted(file="f", images=names, jobs=1), *built)) == f"AB_DIGEST={DIGEST}\n"


@pytest.mark.parametrize(
    ("count", "length", "environment", "said"),
    [
        (20, 5, {"GITLAB_CI": "true"}, ""),
        (21, 5, {"GITLAB_CI": "true"}, "21 variables, and GitLab takes 20"),
        (21, 5, {"GITLAB_CI": "true", "CI_SERVER_HOST": "git.example.com"}, "21 variables, and GitLab takes 20"),
        (50, 5, {"GITLAB_CI": "true", "CI_SERVER_HOST": "gitlab.com"}, ""),
        (51, 5, {"GITLAB_CI": "true", "CI_SERVER_HOST": "gitlab.com"}, "51 variables, and GitLab takes 50"),
        (40, 60, {"GITLAB_CI": "true"}, "5600 bytes, and GitLab takes 5120"),
        (40, 60, {}, ""),
    ],
)
def test_what_gitlab_would_refuse(count, length, environment, said):
    names = tuple(f"i{number:02}".ljust(length, "x") for number in range(count))
    built = [ImageEvent(name=name, event=events.ImageBuilt(digest=DIGEST, size=1, layers=1)) for name in names]
    record = recorded(RunStarted(file="f", images=names, jobs=1), *built)
    expected = f"images.env has {said} of a dotenv report" if said else ""
    assert too_large_for_gitlab(record, environment) == expected


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def folder(tmp_path, warnings):
    return ReportFolder.create(str(tmp_path / "reports"), warnings.append)


class TestFolder:
    def test_the_files_follow_the_run(self, folder, tmp_path, warnings):
        path = tmp_path / "reports"
        states = []
        for at, event in enumerate([BEGUN, *WEB, *REST, END]):
            folder(dataclasses.replace(event, at=float(at)))
            document = json.loads((path / "result.json").read_bytes())
            conforms(document)
            states.append([image["status"] for image in document["images"].values()])
            ET.parse(path / "junit.xml")
        assert states[0] == ["waiting"] * 3
        assert ["running", "waiting", "waiting"] in states
        assert ["built", "running", "waiting"] in states
        assert states[-1] == ["built", "failed", "skipped"]
        assert (path / "result.json").read_text().startswith('{\n  "'), "it is for people to read"
        assert (path / "digests.txt").read_text() == f"r/web:1@{DIGEST}\nr/web:2@{DIGEST}\n"
        assert (path / "images.env").read_text().startswith("WEB_IMAGE=")
        assert warnings == []

    def test_nothing_else_is_left_in_it(self, folder, tmp_path):
        for event in [BEGUN, *WEB, *REST, END]:
            folder(event)
        names = {str(path.relative_to(tmp_path / "reports")) for path in (tmp_path / "reports").rglob("*")}
        files = {"report.html", "junit.xml", "result.json", "digests.txt", "images.env"}
        assert names == files | {"logs", "logs/web.log", "logs/bad.log", "keys", "keys/web.json"}

    def test_the_keys_of_an_image_are_read_back(self, folder, tmp_path):
        for event in [BEGUN, *WEB]:
            folder(event)
        assert read_keys(str(tmp_path / "reports"), "web") == KEYS
        document = json.loads((tmp_path / "reports/keys/web.json").read_text())
        assert (document["version"], document["image"], document["inputs"]) == (1, "web", INPUTS)

    def test_a_log_holds_every_line(self, folder, tmp_path):
        for event in [BEGUN, *WEB]:
            folder(event)
        lines = (tmp_path / "reports/logs/web.log").read_text().splitlines()
        text = [re.fullmatch(r" +\d+\.\d  (.*)", line)[1] for line in lines]
        assert text[0] == "root filesystem: overlay; works"
        assert "    gcc x.c" in text
        assert text[-1] == "pushed in 3.5 s"

    def test_the_files_are_renewed_as_time_passes(self, folder, tmp_path):
        def web():
            return json.loads((tmp_path / "reports/result.json").read_bytes())["images"]["web"]

        for event in [BEGUN, *WEB[:9]]:
            folder(dataclasses.replace(event, at=0.0))
        folder(TimePassed(at=1.0))
        begun = web()
        assert begun["stages"] != []
        for event in WEB[9:-1]:
            folder(dataclasses.replace(event, at=2.0))
        folder(TimePassed(at=5.0))
        assert web() == begun
        folder(TimePassed(at=6.0))
        assert web() != begun
        folder(WEB[-1])

    def test_the_files_are_renewed_a_few_times_a_second_at_most(self, folder, tmp_path):
        """However many images begin and end: the next one waits for it."""

        def status():
            return json.loads((tmp_path / "reports/result.json").read_bytes())["images"]["web"]["status"]

        folder(dataclasses.replace(BEGUN, at=0.0))
        for event in WEB:
            folder(dataclasses.replace(event, at=0.2))
        assert status() == "waiting"
        folder(TimePassed(at=0.3))
        assert status() == "built"

    def test_a_log_can_be_followed(self, folder, tmp_path):
        output = ImageOutput(name="bad", line="first\nsecond \udc80")
        for at, event in enumerate([BEGUN, REST[0], output]):
            folder(dataclasses.replace(event, at=float(at)))
        text = (tmp_path / "reports/logs/bad.log").read_text()
        assert re.fullmatch(r" +1\.0  first\n          second \\udc80\n", text)
        folder(REST[-2])

    def test_an_earlier_run_leaves_nothing_in_the_files(self, folder, tmp_path, warnings):
        for event in [BEGUN, *WEB, *REST, END]:
            folder(event)
        again = ReportFolder.create(str(tmp_path / "reports"), warnings.append)
        assert (tmp_path / "reports/digests.txt").read_text() == ""
        again(RunStarted(file="f", images=("web",), jobs=1))
        again(WEB[0])
        assert list(json.loads((tmp_path / "reports/result.json").read_bytes())["images"]) == ["web"]
        assert (tmp_path / "reports/images.env").read_text() == ""
        assert (tmp_path / "reports/logs/web.log").read_text() == ""
        again(WEB[-1])

    def test_files_are_readable_as_the_umask_says(self, folder, tmp_path):
        before = os.umask(0o027)
        try:
            folder(BEGUN)
        finally:
            os.umask(before)
        assert (tmp_path / "reports/junit.xml").stat().st_mode & 0o777 == 0o640

    def test_names_that_are_one_variable_are_told(self, folder, warnings):
        folder(RunStarted(file="f", images=("a-b", "ab", "a.b"), jobs=1))
        assert warnings == ["images.env leaves out a-b, a.b: as names of variables they are the same"]

    def test_a_place_that_takes_no_reports(self, tmp_path, warnings):
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="cannot write reports to") as caught:
            ReportFolder.create(str(tmp_path / "file" / "reports"), warnings.append)
        assert "--report-dir" in caught.value.hint

    def test_a_place_that_takes_no_more_does_not_stop_the_run(self, folder, tmp_path, warnings):
        folder(BEGUN)
        (tmp_path / "reports").rename(tmp_path / "moved")
        for event in [*WEB, *REST, END]:
            folder(event)
        assert len(warnings) == 1
        assert warnings[0].startswith("reports are incomplete: cannot write to ")

    def test_a_place_that_takes_reports_again(self, folder, tmp_path, warnings):
        """A full disk, here a folder that is away for a while."""
        folder(BEGUN)
        for event in WEB[:3]:
            folder(event)
        (tmp_path / "reports").rename(tmp_path / "away")
        for event in [*WEB[3:], REST[0]]:
            folder(event)
        (tmp_path / "away").rename(tmp_path / "reports")
        for event in [*REST[1:], END]:
            folder(event)
        assert len(warnings) == 1
        assert json.loads((tmp_path / "reports/result.json").read_text())["finished"] is True
        assert (tmp_path / "reports/digests.txt").read_text().startswith(f"r/web:1@{DIGEST}\n")
        assert b"unfinished" not in (tmp_path / "reports/report.html").read_bytes()
        assert warnings[0].endswith("No such file or directory")

    def test_when_a_file_cannot_be_replaced_nothing_is_left_beside_it(self, folder, tmp_path, warnings):
        (tmp_path / "reports/junit.xml").mkdir()
        (tmp_path / "reports/junit.xml/x").touch()
        folder(BEGUN)
        assert len(warnings) == 1
        assert not list((tmp_path / "reports").glob(".*"))

    def test_its_paths(self):
        here = Path.cwd()
        assert ReportFolder.paths_below("out") == tuple(
            str(here / "out" / name)
            for name in (
                "",
                "report.html",
                "junit.xml",
                "result.json",
                "digests.txt",
                "images.env",
                "logs",
                "keys",
            )
        )


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (StepError("m", location=Location("Dockerfile", 3, 1)), ("Dockerfile", 3)),
        (StepError("m"), ("", 0)),
        (
            InvalidFileError([Diagnostic(Location("D", 2), "a"), Diagnostic(Location("D", 9), "b")]),
            ("D", 2),
        ),
    ],
)
def test_the_event_of_a_failure_has_the_place(error, place):
    event = events.BuildFailed.of(error)
    assert (event.file, event.line) == place
    assert events.from_json(json.loads(json.dumps(events.to_json(event)))) == event
