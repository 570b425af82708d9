"""Which fields are expanded: every instruction, with a variable in every field."""

import pytest

from executor.dockerfile.expansion import expand_from, expand_instruction, expand_word_at
from executor.dockerfile.instructions import Arg, Env, Onbuild
from executor.dockerfile.parser import parse
from executor.errors import InvalidFileError, StepError

VARIABLES = {"A": "one", "B": "two words", "EMPTY": "", "T": "tmpfs", "PORTS": "80 443/tcp"}


def instruction_of(text):
    return parse(f"FROM x\n{text}\n").stages[0].instructions[0]


def fields_of(instruction):
    names = [
        name for name in type(instruction).__dataclass_fields__ if name not in ("location", "source", "comments")
    ]
    return {name: getattr(instruction, name) for name in names}


EXPANDED = [
    ("WORKDIR $A/'$A'", {"path": "one/$A"}),
    ("USER $A:${B%% *}", {"user": "one:two"}),
    ("STOPSIGNAL SIG$A", {"signal": "SIGone"}),
    ("VOLUME /$A /$B", {"paths": ("/one", "/two words")}),
    ('VOLUME ["/$A"]', {"paths": ("/one",)}),
    ("EXPOSE $PORTS 1", {"ports": ("80", "443/tcp", "1")}),
    ("LABEL $A=$B x='$A'", {"pairs": (("one", "two words"), ("x", "$A"))}),
    ('ENV X=$A Y="$B" Z=$X', {"pairs": (("X", "one"), ("Y", "two words"), ("Z", ""))}),
    ("ENV legacy $A 'b'", {"pairs": (("legacy", "one b"),)}),
]

COPYING = """{} --chown=$A --chmod=$A --exclude=$A $A <<d <<'q' $B/
$A "$B" \\$A
d
$A
q"""

UNCHANGED = [
    "CMD $A",
    'CMD ["$A"]',
    "ENTRYPOINT $A",
    "HEALTHCHECK CMD $A",
    'SHELL ["$A"]',
    "MAINTAINER $A",
    "ONBUILD RUN $A",
    "ARG x=$A y=$x",
    "RUN --network=none --device=$A $A",
    "RUN <<EOF\n$A\nEOF",
]


@pytest.mark.parametrize(("text", "fields"), EXPANDED)
def test_fields_are_expanded(text, fields):
    before = instruction_of(text)
    after = expand_instruction(before, VARIABLES)
    assert fields_of(after) == fields
    assert (after.location, after.source) == (before.location, before.source)


@pytest.mark.parametrize("text", UNCHANGED)
def test_commands_and_triggers_are_not_expanded(text):
    assert expand_instruction(instruction_of(text), VARIABLES) == instruction_of(text)


@pytest.mark.parametrize("keyword", ["COPY", "ADD"])
def test_copying_expands_paths_owner_mode_and_unquoted_documents(keyword):
    after = expand_instruction(instruction_of(COPYING.format(keyword)), VARIABLES)
    assert after.sources == ("one",)
    assert after.destination == "two words/"
    assert (after.chown, after.chmod, after.excludes) == ("one", "one", ("$A",))
    assert [document.content for document in after.documents] == ['one "two words" $A\n', "$A\n"]


def test_the_checksum_of_add_is_expanded():
    assert expand_instruction(instruction_of("ADD --checksum=$A x y"), VARIABLES).checksum == "one"


def test_mounts_are_expanded_and_judged_then():
    mount = "RUN --mount=type=$T,target=/$A,size=${SIZE:-1m} --mount=type=cache,target=$B,ro $A"
    run = expand_instruction(instruction_of(mount), VARIABLES)
    assert [(mount.type, mount.options[1:]) for mount in run.mounts] == [
        ("tmpfs", (("target", "/one"), ("size", "1m"))),
        ("cache", (("target", "two words"), ("ro", ""))),
    ]
    assert run.command.text == "$A"


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("type=$A,target=/x", "'one' is not bind, cache"),
        ("type=$T,sharing=shared,target=/x", "'sharing' is for cache mounts, not for tmpfs"),
        ("type=tmpfs,size=$A,target=/x", "invalid size: 'one'"),
        ("type=cache,ro=$EMPTY,target=/x", "'$EMPTY' for mount key 'ro' is empty"),
        ("type=cache,target=${A", "missing '}'"),
    ],
)
def test_a_mount_that_expands_to_nonsense_is_refused_at_its_place(mount, message):
    with pytest.raises(StepError) as caught:
        expand_instruction(instruction_of(f"RUN --mount={mount} x"), VARIABLES)
    assert message in str(caught.value)
    assert str(caught.value).startswith("Dockerfile:2:1: ")


@pytest.mark.parametrize(
    "text",
    [
        "ENV a=${b?needed}",
        "WORKDIR ${",
        "COPY a ${b:?needed}",
        "EXPOSE ${b:?needed}",
        "COPY <<d /\n${b?needed}\nd",
    ],
)
def test_a_bad_substitution_is_a_step_error_with_the_place(text):
    with pytest.raises(StepError, match=r"needed|missing") as caught:
        expand_instruction(instruction_of(text), VARIABLES)
    assert caught.value.location.line == 2


def test_the_escape_of_the_file_counts():
    assert expand_instruction(instruction_of("WORKDIR c:\\$A`$A"), VARIABLES, escape="`").path == "c:\\one$A"


def test_arg_defaults_are_expanded_word_by_word():
    arg = instruction_of("ARG x=$A y=${x}-$x")
    assert isinstance(arg, Arg)
    seen = dict(VARIABLES)
    for name, default in arg.entries:
        seen[name] = expand_word_at(default or "", seen, arg)
    assert seen["y"] == "one-one"


def test_from_is_expanded_with_its_platform():
    base = parse("FROM --platform=$P img:${TAG:-1} AS x").stages[0].base
    after = expand_from(base, {"P": "linux/arm64"})
    assert (after.image, after.platform, after.name) == ("img:1", "linux/arm64", "x")
    assert expand_from(parse("FROM a").stages[0].base, {}).platform == ""


@pytest.mark.parametrize("text", ["FROM $NONE", "FROM --platform=$NONE a"])
def test_from_must_not_become_empty(text):
    with pytest.raises(InvalidFileError, match="empty when expanded") as caught:
        expand_from(parse(text).stages[0].base, {})
    assert "--build-arg" in caught.value.diagnostics[0].hint


def test_nothing_is_changed_in_place():
    env = instruction_of("ENV a=$A")
    assert isinstance(env, Env)
    expand_instruction(env, VARIABLES)
    assert env.pairs == (("a", "$A"),)
    assert isinstance(instruction_of("ONBUILD ENV a=$A"), Onbuild)
