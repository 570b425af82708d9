"""Build arguments that mean something to the builder itself."""

import pytest

from executor.build.buildargs import builder_args, is_set, settled, without_effect
from executor.dockerfile.parser import parse
from executor.errors import UsageError
from executor.spec import BuildSpec

HEAD = "ARG YEAR=2001\nARG SOURCE_DATE_EPOCH={}\nFROM scratch\n"


def epoch(text="FROM scratch\n", *, field=None, **args):
    made = settled(BuildSpec(context="c", build_args=args, source_date_epoch=field), parse(text))
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


@pytest.mark.parametrize("text", ["context", "-1", "1.5"])
def test_an_epoch_is_a_number(text):
    with pytest.raises(UsageError, match="not a number of seconds"):
        epoch(SOURCE_DATE_EPOCH=text)


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
