"""--chmod values against a table, and against chmod(1) where the two dialects agree."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.build.copying.chmod import octal_mode, parse_chmod
from executor.errors import StepError

FILE, DIRECTORY = stat.S_IFREG, stat.S_IFDIR


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("755", FILE | 0o600, 0o755),
        ("0", FILE | 0o644, 0),
        ("04755", FILE | 0o644, 0o4755),
        ("u+x", FILE | 0o644, 0o744),
        ("+x", FILE | 0o644, 0o755),
        ("a=r", FILE | 0o777, 0o444),
        ("go-rwx", FILE | 0o777, 0o700),
        ("u=rwX,go=rX", FILE | 0o600, 0o644),
        ("u=rwX,go=rX", FILE | 0o700, 0o755),
        ("u=rwX,go=rX", DIRECTORY | 0o600, 0o755),
        ("a-x,a+X", FILE | 0o744, 0o755),
        ("u+s", FILE | 0o755, 0o4755),
        ("g+s", FILE | 0o755, 0o2755),
        ("o+s", FILE | 0o755, 0o755),
        ("+t", DIRECTORY | 0o755, 0o1755),
        ("o+t", DIRECTORY | 0o755, 0o755),
        ("g=u", FILE | 0o640, 0o660),
        ("o=g-w", FILE | 0o660, 0o664),
        ("u+w-x", FILE | 0o555, 0o655),
        ("u=", FILE | 0o755, 0o055),
        ("=", FILE | 0o4755, 0),
    ],
)
def test_modes(text: str, before: int, after: int) -> None:
    change = parse_chmod(text)
    assert change is not None
    assert oct(change(before)) == oct(after)


@pytest.mark.parametrize("text", ["u", "rwx", "u+z", "u+x,", "888", "10000", "0x1ff", "u +x", "b+x", "u+ug", "-1"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(StepError, match="invalid --chmod value"):
        parse_chmod(text)


def test_no_mode_changes_nothing() -> None:
    assert parse_chmod("") is None


@pytest.mark.parametrize(("text", "bits"), [("644", 0o644), ("u+x", None), ("", None), ("8", None)])
def test_octal(text: str, bits: int | None) -> None:
    assert octal_mode(text) == bits


CLAUSES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["u", "g", "o", "ug", "go", "ugo", "a"]),
    st.sampled_from("+-="),
    st.sampled_from(["r", "w", "x", "rw", "rwx", "", "u", "g", "o"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CLAUSES, min_size=1, max_size=3).map(",".join), st.integers(0, 0o777))
def test_as_chmod_does(tmp_path_factory: pytest.TempPathFactory, text: str, before: int) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "chmod"
    path.touch()
    path.chmod(before)
    subprocess.run(["chmod", text, path], check=True)
    change = parse_chmod(text)
    assert change is not None
    assert oct(change(FILE | before)) == oct(stat.S_IMODE(os.stat(path).st_mode))
