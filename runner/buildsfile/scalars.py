"""Plain scalars by the core schema of YAML 1.2 (section 10.3.2).

PyYAML resolves by YAML 1.1, where `no` is false, `010` is 8, `1:30` is 90 and `2024-01-01` a date. Here they are
what their writer sees: two strings and the number 10, and again a string.
"""

from __future__ import annotations

import re

ScalarValue = str | int | float | bool | None

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_LONGEST_INTEGER = 300  # digits; longer ones become floats, because int() of untrusted text is bounded


def resolve(text: str) -> ScalarValue:
    """The value of an unquoted scalar."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    if len(text) <= _LONGEST_INTEGER:
        for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
            if pattern.match(text):
                return int(text, base)
    if _FLOAT.match(text):
        return float(text)
    if infinity := _INFINITY.match(text):
        return float(f"{infinity[1]}inf")
    return float("nan") if text in _NAN else None
