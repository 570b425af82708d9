"""A fake registry, clients for it, and what they emit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from executor.events import Event
from executor.registry.client import RegistryClient
from executor.registry.credentials import Credential, Keychain, Secret
from executor.registry.hosts import Purpose
from executor.spec import RegistryOptions, RetryPolicy
from tests.support.fake_registry import FakeRegistry

QUICK = RetryPolicy(retries=3, initial_wait=0.001, max_wait=0.002)

ClientMaker = Callable[..., RegistryClient]


class FixedKeychain(Keychain):
    """Knows one user everywhere."""

    def __init__(self, credential: Credential | None = None) -> None:
        super().__init__()
        self._credential = credential

    def lookup(self, registry: str, repository: str) -> Credential | None:
        return self._credential


def bob(password: str = "s3cret-of-bob") -> FixedKeychain:
    return FixedKeychain(Credential(username="bob", password=Secret(password), origin="/home/bob/config.json"))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture(params=["direct", "requests"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How requests are sent: `requests` does it where there may be proxies, if for other addresses."""
    monkeypatch.delenv("unused_proxy", raising=False)
    if request.param == "requests":
        monkeypatch.setenv("unused_proxy", "http://127.0.0.1:1")
    way: str = request.param
    return way


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def client(events: list[Event]) -> Iterator[ClientMaker]:
    """Makes clients; pulls and pushes are tried again quickly, three times."""
    with ExitStack() as stack:

        def make(
            purpose: Purpose = "pull",
            *,
            keychain: Keychain | None = None,
            options: RegistryOptions | None = None,
            retry: RetryPolicy = QUICK,
        ) -> RegistryClient:
            client = RegistryClient(
                options or RegistryOptions(), keychain or Keychain(), events.append, purpose, retry=retry
            )
            return stack.enter_context(client)

        yield make
