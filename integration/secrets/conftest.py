"""What builds with secrets use, served for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.secrets.world import World, serve_world


@pytest.fixture(scope="module")
def world(work: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A registry with a password, a git server with a token, an agent with a key."""
    with serve_world(work / request.module.__name__.rpartition(".")[2]) as served:
        yield served
