"""A forwarded agent answers at a socket of the build's own, with its owner and mode."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.build.supplies.sshagent import Agents, forwarded
from executor.errors import NotSupportedError, UsageError


@contextmanager
def shouting_agent(path: Path) -> Iterator[str]:
    """Answers whatever it hears in upper case, until its client has had enough."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(1000):
                    connection.sendall(data.upper())

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield str(path)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def ask(path: str, *words: bytes) -> list[bytes]:
    answers = []
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        for word in words:
            client.sendall(word)
            answers.append(client.recv(1000))
    return answers


def test_it_answers_several_at_once_and_goes(tmp_path):
    uid, gid = os.geteuid(), os.getegid()
    with (
        shouting_agent(tmp_path / "real") as agent,
        forwarded(agent, str(tmp_path), uid=uid, gid=gid, mode=0o620) as path,
    ):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o620
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(path)
            assert ask(path, b"a", b"b") == [b"A", b"B"]
            assert ask(path, b"c") == [b"C"]
    assert not os.path.exists(path)
    with pytest.raises(OSError, match="No such file"):
        ask(path, b"d")


def test_the_folder_may_be_deep(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with shouting_agent(tmp_path / "real") as agent, forwarded(
        agent, str(folder), uid=os.geteuid(), gid=os.getegid(), mode=0o600
    ) as path:  # fmt: skip
        os.rename(path, tmp_path / "near")  # a client has the same limit, and no way around it
        assert ask(str(tmp_path / "near"), b"x") == [b"X"]
        os.rename(tmp_path / "near", path)


def test_an_agent_that_is_gone_hangs_up(tmp_path):
    with forwarded(
        str(tmp_path / "gone"), str(tmp_path), uid=os.geteuid(), gid=os.getegid(), mode=0o600
    ) as path, socket.socket(socket.AF_UNIX) as client:  # fmt: skip
        client.settimeout(10)
        client.connect(path)
        assert client.recv(10) == b""


def test_which_agent(tmp_path):
    with shouting_agent(tmp_path / "real") as agent:
        agents = Agents({"default": "", "other": agent}, {"SSH_AUTH_SOCK": agent})
        assert agents.get("default") == agents.get("other") == agent
        assert agents.get("absent") is None


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("", UsageError, "SSH_AUTH_SOCK is not set"),
        ("/absent", UsageError, "/absent: No such file"),
        (__file__, NotSupportedError, "key files are not supported"),
    ],
)
def test_agents_that_are_not_there(path, error, reason):
    with pytest.raises(error, match=reason):
        Agents({"default": path}, {})
