"""Which ids a user may have, and what is found out once for all forks."""

from __future__ import annotations

import errno
import os

import pytest

from executor.rootfs.base import Probe
from executor.rootfs.kernel import namespaces
from executor.rootfs.kernel.namespaces import subordinate_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app:100000:65536\n", (100000, 65536)), ("1000:5:6\n", (5, 6)), ("other:1:2\napp:3:4\n", (3, 4)),
        ("app:x:4\n", None), ("app:1:0\n", None), ("app\n", None), ("", None), ("application:1:2", None),
    ],
)  # fmt: skip
def test_subordinate_ranges(text: str, expected: tuple[int, int] | None) -> None:
    assert subordinate_range(text, 1000, "app") == expected


def test_what_was_found_out_for_forks_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    entered: list[bool] = []

    def try_nothing(action: object) -> Probe:
        tried.append(action)
        return Probe(usable=True)

    monkeypatch.setattr(namespaces, "_found_out", [])
    monkeypatch.setattr(namespaces, "try_in_child", try_nothing)
    monkeypatch.setattr(namespaces, "_unshare_mounts", lambda: entered.append(True))
    namespaces.enter_mount_namespace()
    assert (len(tried), len(entered)) == (1, 1)
    namespaces.find_out_for_forks()
    namespaces.enter_mount_namespace()
    namespaces.enter_mount_namespace()
    assert (len(tried), len(entered)) == (2, 3)


@pytest.mark.parametrize(("as_user", "attempts"), [(True, 2), (False, 1)])
def test_a_user_namespace_is_only_tried_for_who_wants_one(
    as_user: bool, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refuse(action: object) -> Probe:
        tried.append(action)
        return Probe(usable=False, reason="Operation not permitted")

    monkeypatch.setattr(namespaces, "_found_out", [])
    monkeypatch.setattr(namespaces, "try_in_child", refuse)
    namespaces.enter_mount_namespace(as_user=as_user)
    assert len(tried) == attempts


def test_where_no_process_can_be_started_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(namespaces, "_found_out", [])
    monkeypatch.setattr(os, "fork", fork)
    namespaces.find_out_for_forks()
    assert namespaces._found_out == []
