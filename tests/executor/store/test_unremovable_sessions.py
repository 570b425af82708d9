"""The folder of a session that cannot be removed yet keeps its lock file, by which the next one finds it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.store import Store, sessions


@pytest.mark.parametrize("killed", [False, True])
def test_what_could_not_be_removed_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    home, work = str(tmp_path), tmp_path / "work"
    store = Store.open(home)
    session = store.session
    with monkeypatch.context() as patched:
        patched.setattr(sessions, "remove_tree", lambda _path: None)  # somebody writes there all the time
        if killed:
            os.close(store._lock)
            sessions.remove_abandoned(str(work))
        else:
            store.close()
    assert {path.name for path in work.iterdir()} == {
        os.path.basename(session),
        f"{os.path.basename(session)}.lock",
    }
    with Store.open(home):
        assert not os.path.exists(session)
    assert not list(work.iterdir())
