import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.buildsfile.scalars import resolve

CASES = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "nULL": "nULL",
    "true": True, "True": True, "TRUE": True, "false": False, "FALSE": False,
    "yes": "yes", "no": "no", "on": "on", "off": "off", "y": "y", "n": "n",
    "0": 0, "12": 12, "-7": -7, "+7": 7, "010": 10, "0o17": 15, "0x1F": 31, "0b1": "0b1", "1_000": "1_000",
    "1:30": "1:30", "2024-01-01": "2024-01-01", "2024-01-01T00:00:00Z": "2024-01-01T00:00:00Z",
    "3.10": 3.1, ".5": 0.5, "1.": 1.0, "1e3": 1000.0, "-1.5E-2": -0.015, "1.2.3": "1.2.3", "-": "-", ".": ".",
    ".inf": math.inf, "-.INF": -math.inf, "inf": "inf", "nan": "nan", "=": "=", "<<": "<<",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), CASES.items(), ids=repr)
def test_core_schema(text, value):
    resolved = resolve(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_not_a_number():
    assert math.isnan(resolve(".NaN"))


def test_digits_without_end_do_not_reach_int():
    assert resolve("9" * 5000) == math.inf


@given(st.integers())
def test_integers_are_themselves(number):
    assert resolve(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_themselves(number):
    assert resolve(repr(number)) == number


@given(st.text())
def test_anything_else_is_its_text(text):
    value = resolve(text)
    assert value == text or not isinstance(value, str)
