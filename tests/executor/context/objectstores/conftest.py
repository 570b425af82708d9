from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor.context import http
from tests.support.fake_cloud import Cloud, serve_cloud


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(http, "_LONGEST_WAIT", 0.01)
    with serve_cloud() as server:
        yield server
