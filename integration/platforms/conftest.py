"""A base image for two platforms, and a builder that tells what it did."""

from __future__ import annotations

import pytest

from integration.support import bases
from integration.support.builders import Executor
from integration.support.registries import RegistryServer


@pytest.fixture(scope="session")
def multibox(registry: RegistryServer, base_host: str) -> str:
    """The reference of an index with busybox for amd64 and for arm64."""
    archives = {"linux/amd64": bases.busybox_archive(), "linux/arm64": bases.armbox_archive()}
    bases.push_index(registry.host, "multibox", archives)
    return f"{base_host}/multibox"


@pytest.fixture
def overlay(executors: dict[str, Executor]) -> Executor:
    """The builder with overlay alone, for what does not depend on the driver."""
    return executors["overlay"]
