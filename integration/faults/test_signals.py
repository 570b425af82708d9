"""SIGINT and SIGTERM in every phase: a prompt end, the right status, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.faults.conftest import Attempt

_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
_AT_ONCE = 2
"""Seconds within which a build must have ended that waits for a peer."""
_PROMPT = 5
"""Seconds within which a build must have ended and cleaned up."""

both_signals = pytest.mark.parametrize("number", list(_STATUS), ids=lambda number: number.name)


@pytest.fixture
def silent_host() -> Iterator[str]:
    """A host that accepts connections and never answers."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in connections:
        connection.close()


@both_signals
def test_while_pulling(attempt: Attempt, silent_host: str, number: signal.Signals) -> None:
    outcome = attempt.stopped(
        number, f"FROM {silent_host}/base\nRUN true\n", "--no-push", when=lambda log: silent_host in log
    )
    assert outcome.status == _STATUS[number], outcome.log
    assert outcome.seconds < _AT_ONCE
    assert attempt("FROM scratch\nENV a=1\n", "--no-push").status == 0


@both_signals
def test_while_a_command_runs(attempt: Attempt, base_host: str, number: signal.Signals) -> None:
    dockerfile = f"FROM {base_host}/busybox\nRUN (sleep 1000 &); echo run''ning; sleep 1000\n"
    outcome = attempt.stopped(number, dockerfile, "--no-push", when=lambda log: "running" in log)
    assert outcome.status == _STATUS[number], outcome.log
    assert outcome.seconds < _PROMPT


@both_signals
def test_a_command_that_ignores_signals(attempt: Attempt, base_host: str, number: signal.Signals) -> None:
    dockerfile = f"FROM {base_host}/busybox\nRUN trap '' INT TERM; echo run''ning; while true; do sleep 1; done\n"
    outcome = attempt.stopped(number, dockerfile, "--no-push", when=lambda log: "running" in log)
    assert outcome.status == _STATUS[number], outcome.log
    assert outcome.seconds < _PROMPT


@both_signals
def test_while_a_layer_is_made(attempt: Attempt, number: signal.Signals, tmp_path: Path) -> None:
    with (attempt.context / "large").open("wb") as file:
        for _ in range(256):
            file.write(os.urandom(1 << 20))
    flags = ["--no-push", "--destination=name", f"--tar-path={tmp_path / 'image.tar'}"]
    outcome = attempt.stopped(number, "FROM scratch\nCOPY large /\n", *flags, when=lambda log: "COPY" in log)
    assert outcome.status == _STATUS[number], outcome.log
    assert outcome.seconds < _PROMPT
    assert list(tmp_path.iterdir()) == []


@both_signals
def test_while_pushing(attempt: Attempt, silent_host: str, number: signal.Signals) -> None:
    (attempt.context / "a").write_text("a")
    flags = [f"--destination={silent_host}/name", "--skip-push-permission-check"]
    outcome = attempt.stopped(number, "FROM scratch\nCOPY a /\n", *flags, when=lambda log: "Built" in log)
    assert outcome.status == _STATUS[number], outcome.log
    assert outcome.seconds < _AT_ONCE
    assert attempt("FROM scratch\nENV a=1\n", "--no-push").status == 0


def test_a_second_signal_does_not_break_the_cleaning(attempt: Attempt, base_host: str) -> None:
    dockerfile = f"FROM {base_host}/busybox\nRUN trap '' INT TERM; echo run''ning; while true; do sleep 1; done\n"

    def running(log: str) -> bool:
        return "running" in log

    outcome = attempt.stopped(signal.SIGINT, dockerfile, "--no-push", when=running, again=signal.SIGTERM)
    assert outcome.status in (130, 143), outcome.log  # the kernel may give them to two threads, in any order
