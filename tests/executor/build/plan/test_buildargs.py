"""Build arguments that mean something to the builder itself."""

import pytest

from executor.build.plan.buildargs import builder_args, host_name, is_set, settled, without_effect
from executor.dockerfile.parser import parse
from executor.errors import UsageError
from executor.spec import BuildSpec

HEAD = "ARG YEAR=2001\nARG SOURCE_DATE_EPOCH={}\nFROM scratch\n"


def no_time(_name):
    return None


def epoch(text="FROM scratch\n", *, field=None, **args):
    made = settled(BuildSpec(context="c", build_args=args, source_date_epoch=field), parse(text), no_time)
    return made.source_date_epoch, made.build_args.get("SOURCE_DATE_EPOCH")


def test_where_the_epoch_comes_from():
    assert epoch() == (None, None)
    assert epoch(field=7) == (7, "7")
    assert epoch(SOURCE_DATE_EPOCH="5") == (5, "5")
    assert epoch(field=7, SOURCE_DATE_EPOCH="5") == (5, "5")
    assert epoch(HEAD.format(9)) == (9, None)
    assert epoch(HEAD.format("${YEAR}0"), YEAR="3") == (30, None)
    assert epoch(HEAD.format(9), field=7) == (7, "7")
    assert epoch(HEAD.format(9), SOURCE_DATE_EPOCH="") == (None, "")


@pytest.mark.parametrize("given", [{"field": 10**12}, {"SOURCE_DATE_EPOCH": "9" * 5000}])
def test_an_epoch_after_all_years_is_refused(given):
    with pytest.raises(UsageError, match="after the year 9999"):
        epoch(**given)


def test_the_epoch_of_a_source():
    asked = []

    def of_source(made, text="FROM scratch\n", **args):
        def time_of(name):
            asked.append(name)
            return made

        found = settled(BuildSpec(context="c", build_args=args), parse(text), time_of)
        return found.source_date_epoch, found.build_args.get("SOURCE_DATE_EPOCH")

    assert of_source(1234, SOURCE_DATE_EPOCH="context") == (1234, "1234")
    assert of_source(None, SOURCE_DATE_EPOCH="src") == (None, "")
    assert of_source(-9, SOURCE_DATE_EPOCH="ctx") == (0, "0")
    assert of_source(7, HEAD.format("context")) == (7, "7")
    assert asked == ["context", "src", "ctx", "context"]
    assert of_source(7) == (None, None)
    assert of_source(7, SOURCE_DATE_EPOCH="5") == (5, "5")
    assert len(asked) == 4


def test_several_platforms_are_an_index():
    platforms = ("linux/amd64", "linux/arm64")
    for value, count in (("0", 1), ("", 2), ("1", 2)):
        args = {"BUILDKIT_MULTI_PLATFORM": value}
        settled(
            BuildSpec(context="c", build_args=args, platforms=platforms[:count]), parse("FROM scratch\n"), no_time
        )
    off = BuildSpec(context="c", build_args={"BUILDKIT_MULTI_PLATFORM": "false"}, platforms=platforms)
    with pytest.raises(UsageError, match="is off, and several platforms"):
        settled(off, parse("FROM scratch\n"), no_time)


def test_the_name_of_the_sandbox():
    assert host_name({}) == host_name({"BUILDKIT_SANDBOX_HOSTNAME": ""}) == "buildkitsandbox"
    assert host_name({"BUILDKIT_SANDBOX_HOSTNAME": "a.b"}) == "a.b"
    for wrong in ("a b", "a\n127.0.0.1 other", "x" * 65):
        with pytest.raises(UsageError, match="is no host name"):
            settled(
                BuildSpec(context="c", build_args={"BUILDKIT_SANDBOX_HOSTNAME": wrong}),
                parse("FROM scratch\n"),
                no_time,
            )


def test_switches():
    assert not is_set({}, "A")
    assert is_set({"A": "1"}, "A")
    assert not is_set({"A": "false"}, "A")
    with pytest.raises(UsageError, match="neither"):
        is_set({"A": "maybe"}, "A")


def test_what_does_nothing_is_told():
    given = {"BUILDKIT_SYNTAX": "x", "BUILDKIT_INLINE_CACHE": "1"}
    assert without_effect(given) == ["BUILDKIT_INLINE_CACHE"]
    assert set(given) <= builder_args()
