"""A process that is being stopped waits for no peer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from executor import hangup
from executor.context import http
from executor.context.http import download
from executor.errors import Error, RegistryError, StoppedError
from executor.events import discard
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import RegistryOptions, RetryPolicy
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.fake_web import Page, serve_web

_HANG = 8.0  # longer than any of these may take
_SYN_SENT = 2


@pytest.fixture(autouse=True)
def begun() -> Iterator[None]:
    hangup.begin()
    yield
    hangup.begin()


def stopped_soon(work: Callable[[], object], when: Callable[[], bool]) -> Exception | None:
    """What `work` raises in a thread, when this process is told to stop as soon as `when` holds."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            work()
        except (Error, OSError) as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not when():
        time.sleep(0.005)
    hangup.hang_up(15)
    thread.join(4)
    assert not thread.is_alive(), "it still waits"
    return raised[0] if raised else None


def tcp_state(connection: socket.socket) -> int:
    """The first byte of the kernel's struct tcp_info."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def client(retries: int = 3) -> RegistryClient:
    options = RegistryOptions(insecure=True, insecure_pull=True)
    return RegistryClient(
        options, Keychain({}), lambda _event: None, "pull", retry=RetryPolicy(retries=retries, initial_wait=_HANG)
    )


def test_a_registry_that_does_not_answer() -> None:
    with FakeRegistry() as registry, client() as calls:
        silence = Fault(path="/manifests/", delay=_HANG)
        registry.faults.append(silence)
        reference = Reference.parse(f"{registry.host}/a:1")
        error = stopped_soon(lambda: calls.get_manifest(reference), lambda: silence.times == 0)
        assert isinstance(error, StoppedError | RegistryError)
        assert not registry.seen("GET", "/manifests/"), "it has answered"


@pytest.fixture
def full() -> Iterator[tuple[str, int]]:
    """The address of a host that accepts no more connections."""
    with ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()


def test_a_host_that_accepts_no_more_connections(full: tuple[str, int]) -> None:
    with socket.socket() as own:
        own.settimeout(_HANG)
        error = stopped_soon(lambda: own.connect(full), lambda: tcp_state(own) == _SYN_SENT)
    assert isinstance(error, OSError)


def test_a_connection_about_to_be_made(full: tuple[str, int]) -> None:
    """What is shut down before it connects seems to have connected at once, but carries nothing."""
    stopped = threading.Event()

    def call(own: socket.socket) -> None:
        assert stopped.wait(_HANG)
        time.sleep(0.2)  # more than one round of shutting down
        own.connect(full)
        own.sendall(b"GET / HTTP/1.1\r\n\r\n")

    with socket.socket() as own:
        own.settimeout(_HANG)
        error = stopped_soon(lambda: call(own), lambda: stopped.set() or True)
    assert isinstance(error, OSError)


def test_a_wait_before_another_try() -> None:
    tried = threading.Event()
    with FakeRegistry() as registry, client() as calls:
        registry.faults.append(Fault(path="/manifests/", status=503, times=100, headers={"Retry-After": "60"}))
        calls.sink = lambda _event: tried.set()
        reference = Reference.parse(f"{registry.host}/a:1")
        error = stopped_soon(lambda: calls.get_manifest(reference), tried.is_set)
    assert isinstance(error, StoppedError)
    assert error.exit_code == 143


def test_nothing_is_called_any_more_until_the_next_build() -> None:
    with FakeRegistry() as registry:
        reference = Reference.parse(f"{registry.host}/a:1")
        hangup.hang_up(2)
        with client(retries=0) as calls, pytest.raises(StoppedError):
            calls.get_manifest(reference)
        hangup.begin()
        with client(retries=0) as calls, pytest.raises(RegistryError) as caught:
            calls.get_manifest(reference)
    assert caught.value.status == 404


def test_a_wait_before_another_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.wait_random_exponential.__call__", lambda *_: _HANG)
    with serve_web() as web:
        web.pages["/f"] = Page(status=503)
        error = stopped_soon(lambda: download(f"{web.url}/f", str(tmp_path), discard), lambda: bool(web.requests))
        assert isinstance(error, http.TransferError | StoppedError), "the first where it had not begun to wait"
        assert len(web.requests) == 1


def test_a_server_that_does_not_send_what_it_promised(tmp_path: Path) -> None:
    """Its connection is closed for us, which is no reason to ask again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[socket.socket] = []
        accepting = threading.Thread(target=lambda: asked.append(server.accept()[0]), daemon=True)
        accepting.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/f"
        error = stopped_soon(lambda: download(url, str(tmp_path), discard), lambda: bool(asked))
        asked[0].close()
    assert isinstance(error, http.TransferError | StoppedError)
