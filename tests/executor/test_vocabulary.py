"""Specs, results and events cross process borders as JSON; errors know their exit codes."""

import dataclasses
import errno
import json
import typing

import pytest

from executor import errors, events
from executor.spec import (
    BuildResult,
    BuildSpec,
    OutputSpec,
    PlatformResult,
    RegistryOptions,
    RetryPolicy,
    StepRecord,
    build_result_from_json,
    build_spec_from_json,
)


def test_spec_round_trip():
    spec = BuildSpec(
        context="/c",
        build_args={"A": "1"},
        dockerfile_text="FROM scratch\n",
        build_contexts={"src": "/src"},
        annotations={"index:a": "b"},
        platforms=("linux/amd64", "linux/arm/v6"),
        registry=RegistryOptions(
            insecure_registries=("a", "b"),
            mirrors={"docker.io": ("m", "n/hub")},
            client_certificates={"h": ("c", "k")},
            pull_retry=RetryPolicy(retries=7),
        ),
        output=OutputSpec(destinations=("x",), push_retry=RetryPolicy(retries=2, deadline=5.0)),
        source_date_epoch=3,
    )
    assert build_spec_from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_result_round_trip():
    result = BuildResult(
        digest="d", descriptor={"size": 1}, config_digest="c", size=1, platform="p", driver="overlay", seconds=0.5,
        steps=(StepRecord(stage=0, instruction="RUN x", seconds=0.1),),
        manifests=(PlatformResult(platform="p", digest="d", config_digest="c", size=1),),
    )  # fmt: skip
    assert build_result_from_json(json.loads(json.dumps(result.to_json()))) == result


def test_unknown_fields_are_our_bug():
    with pytest.raises(errors.InternalError, match="BuildSpec has no nonsense"):
        build_spec_from_json({"context": "x", "nonsense": 1})


VALUES = {str: "x", int: 3, float: 0.5, bool: True}


@pytest.mark.parametrize("kind", typing.get_args(events.Event))
def test_events_round_trip(kind):
    hints = typing.get_type_hints(kind)
    event = kind(**{field.name: VALUES.get(hints[field.name], "stdout") for field in dataclasses.fields(kind)})
    document = json.loads(json.dumps(events.to_json(event)))
    assert document["type"] == kind.__name__
    assert events.from_json(document) == event


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(0, True), (401, False), (404, False), (408, True), (429, True), (500, True), (501, False), (503, True)],
)
def test_which_registry_errors_are_temporary(status, retryable):
    error = errors.RegistryError("x", status=status)
    assert error.retryable is retryable
    assert error.exit_code == (75 if retryable else 1)


def test_run_errors_pass_the_status_on():
    assert errors.RunError("x", status=42).exit_code == 42
    assert errors.RunError("x", status=300).exit_code == 1


@pytest.mark.parametrize(
    ("causes", "code"),
    [((), 3), ((503,), 75), ((0, 429), 75), ((503, 403), 3)],
)
def test_a_push_may_be_retried_when_all_that_failed_may(causes: tuple[int, ...], code: int) -> None:
    error = errors.PushError("x", causes=[errors.RegistryError("y", status=status) for status in causes])
    assert (error.exit_code, error.retryable) == (code, code == 75)


def test_what_a_terminal_would_obey_is_written_out_in_errors() -> None:
    place = errors.Location("a\x1b", 1, 2)
    error = errors.StepError("no \x1b[2J\nhere\t\x9b", hint="not \x07", location=place)
    assert error.describe() == "a\\x1b:1:2: no \\x1b[2J\nhere\t\\x9b\n    hint: not \\x07"
    fault = errors.Diagnostic(place, "\x1b", path="\x07", hint="\x08", excerpt="\x1b")
    assert str(fault) == "a\\x1b:1:2: \\x07: \\x1b\n    \\x1b\n    hint: \\x08"


def test_what_a_command_said_last_is_told_as_it_was() -> None:
    error = errors.RunError("RUN \x1b", status=1, tail=["\x1b[31mred\x1b[0m"])
    assert error.message == "RUN \\x1b\n    \x1b[31mred\x1b[0m"


def test_the_error_tree_in_the_docstring_is_complete():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Error)]
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or "")


def test_describe_shows_place_and_hint():
    error = errors.StepError("bad", hint="do x", location=errors.Location("Dockerfile", 3, 5))
    assert error.describe() == "Dockerfile:3:5: bad\n    hint: do x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ADD https://me:secret@host/x /y", "ADD https://***@host/x /y"),
        ("https://token@host http://a:b@c:5/d", "https://***@host http://***@c:5/d"),
        ("https://${USER}:$TOKEN@host", "https://***@host"),
        ("https://me:p@ss@host/x HTTP://a:b@c", "https://***@host/x HTTP://***@c"),
        ("https://host/a@b git@host:a ssh://git@host", "https://host/a@b git@host:a ssh://git@host"),
        ("git://me:secret@host/a ssh://:secret@host:22/a", "git://***@host/a ssh://***@host:22/a"),
    ],
)
def test_passwords_of_urls_are_left_out(text, shown):
    assert errors.without_passwords(text) == shown
    place = errors.Location("Dockerfile", 1)
    for found in (
        errors.Diagnostic(place, "wrong", excerpt=text),
        errors.Diagnostic(place, text),
        errors.StepError(text),
        errors.StepError("wrong", hint=text),
    ):
        told = found.describe() if isinstance(found, errors.Error) else str(found)
        assert told.endswith(shown)


def fails(error):
    with errors.machine_faults_explained():
        raise error


@pytest.mark.parametrize(
    ("error", "words", "way_out"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/store/work/x"), "device: /store/work/x", "inodes"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system", "KRUNNER_HOME"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files", "ulimit -n"),
        (
            BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
            "temporarily unavailable",
            "ulimit -u",
        ),
        (RuntimeError("can't start new thread"), "no thread can be started", "ulimit -u"),
        (MemoryError(), "out of memory", "more memory"),
    ],
)
def test_what_the_machine_lacks_is_no_bug(error, words, way_out):
    with pytest.raises(errors.UnfitError, match=words) as raised:
        fails(error)
    assert way_out in raised.value.hint
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "No such file"), OSError("no number"), RuntimeError("else")]
)
def test_other_faults_stay_what_they_are(error):
    with pytest.raises(type(error)) as raised:
        fails(error)
    assert raised.value is error
