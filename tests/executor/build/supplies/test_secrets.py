"""Secrets come from where they are said to be, and are masked."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.build.supplies.secrets import Secrets
from executor.errors import UsageError
from executor.spec import BuildSpec, SecretSource, build_spec_from_json


def secrets(**values):
    return Secrets([SecretSource(id=name, env=name) for name in values], values)


def test_values_come_from_files_and_variables(tmp_path):
    (tmp_path / "f").write_bytes(b"\xff\0\n")
    found = Secrets([SecretSource(id="a", path=str(tmp_path / "f")), SecretSource(id="b", env="B")], {"B": "é"})
    assert found.get("a") == b"\xff\0\n"
    assert found.get("b") == "é".encode()
    assert found.get("c") is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (SecretSource(id="a", path="/absent"), "cannot read /absent: No such file"),
        (SecretSource(id="a", path="/"), "cannot read /: Is a directory"),
        (SecretSource(id="a", env="A"), "no variable A"),
        (SecretSource(id="a", env="BIG"), "larger than 512000 bytes"),
    ],
)
def test_what_is_not_there_is_told_at_once(source, reason):
    with pytest.raises(UsageError, match=reason):
        Secrets([source], {"BIG": "x" * 512001})


@pytest.mark.parametrize(
    ("values", "line", "masked"),
    [
        ({}, "nothing", "nothing"),
        ({"A": "hush"}, "a hush, hushhush", "a ***, ******"),
        ({"A": "hush\n"}, "hush", "***"),
        ({"A": "x"}, "axb", "a***b"),
        ({"A": "ab", "B": "abc"}, "abcab", "******"),
        ({"A": "a.c"}, "abc a.c", "abc ***"),
        ({"A": "{\n  first line\n}\n"}, "first line }", "*** }"),
        ({"A": " \n"}, "a b", "a b"),
    ],
)
def test_masks(values, line, masked):
    assert secrets(**values).mask(line) == masked


@given(st.text('abcDEF09/+=?&%é"\\', min_size=6, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_encodings_are_masked_too(text, before, after):
    mask = secrets(T=text).mask
    raw = text.encode()
    for shown in (quote(text, safe=""), json.dumps(text)[1:-1], raw.hex()):
        assert mask(f"x {shown} y") == "x *** y"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + raw + after).decode()
        masked = mask(encoded)
        assert "***" in masked
        assert len(masked.replace("***", "").rstrip("=")) <= 4 * (len(before) + len(after)) // 3 + 6


def test_short_secrets_have_no_encodings():
    """Their few letters would be masked in what has nothing to do with them."""
    assert secrets(T="abc").mask("616263 YWJj abc") == "616263 YWJj ***"


def test_a_spec_with_secrets_crosses_a_process_border():
    spec = BuildSpec(context=".", secrets=(SecretSource(id="a", env="A"),), ssh={"default": ""})
    document = spec.to_json()
    document["secrets"] = list(document["secrets"])
    assert build_spec_from_json(document) == spec
