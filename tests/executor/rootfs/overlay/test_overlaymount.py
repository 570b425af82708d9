"""The ways to mount an overlay, tried in turn, and how many layers it takes."""

from __future__ import annotations

from typing import Any

import pytest

from executor.errors import UnfitError
from executor.rootfs.overlay import overlaymount
from executor.rootfs.overlay.overlaymount import OverlayMount, mount_overlay


def test_too_many_layers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mount = OverlayMount(target="/t", lowers=[f"/{n}" for n in range(501)], upper="/u", work="/w")
    with pytest.raises(UnfitError, match="501 layers; overlayfs stacks 500"):
        mount_overlay(mount)


@pytest.mark.parametrize(("failing", "tried"), [(0, 1), (1, 2), (3, 4)])
def test_older_ways_to_mount_are_tried_in_turn(failing: int, tried: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, bool]] = []

    def way(name: str) -> Any:
        def mount(overlay: OverlayMount, *, volatile: bool) -> None:
            assert overlay.lowers == ["/a", "/b"], "a repeated layer counts where it is topmost"
            calls.append((name, volatile))
            if len(calls) <= failing:
                raise OSError(22, "Invalid argument")

        return mount

    monkeypatch.setattr(overlaymount, "_by_descriptor", way("new"))
    monkeypatch.setattr(overlaymount, "_by_string", way("old"))
    mount_overlay(OverlayMount(target="/t", lowers=["/a", "/b", "/a"], upper="/u", work="/w"))
    assert calls == [("new", True), ("old", True), ("new", False), ("old", False)][:tried]
