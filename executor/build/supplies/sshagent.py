"""The ssh agents that a build may use: a socket in the root that passes connections on to the agent's own.

An agent talks only to the user it runs for, so a command under another id could not reach its socket directly; a
socket of the build's own also has the owner and mode that the mount asks for.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from executor.errors import NotSupportedError, UsageError

_CHUNK = 64 * 1024


class Agents:
    """Sockets of agents by id. Raises UsageError for one that is not there, NotSupportedError for a key file."""

    def __init__(self, given: Mapping[str, str], environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._sockets = {agent_id: _find(agent_id, path, environ) for agent_id, path in given.items()}

    def get(self, agent_id: str) -> str | None:
        """The path of the agent's socket, None when no agent of that id was given."""
        return self._sockets.get(agent_id)


def _find(agent_id: str, path: str, environ: Mapping[str, str]) -> str:
    path = path or environ.get("SSH_AUTH_SOCK", "")
    if not path:
        hint = "start an ssh-agent and ssh-add a key"
        raise UsageError(f"--ssh {agent_id}: SSH_AUTH_SOCK is not set", hint=hint)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"--ssh {agent_id}: {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        hint = f"run `ssh-add {path}` in an agent and give --ssh {agent_id}"
        raise NotSupportedError(f"--ssh {agent_id}={path}: key files are not supported", hint=hint)
    return path


@contextmanager
def forwarded(agent: str, folder: str, *, uid: int, gid: int, mode: int) -> Iterator[str]:
    """A socket in the directory `folder` behind which the agent at the socket `agent` answers; gives its path.

    Raises OSError. Connections end with the context.
    """
    path = os.path.join(folder, "agent")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        _bind(server, folder)
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        server.listen()
        forwarder = _Forwarder(server, agent)
        forwarder.start()
        try:
            yield path
        finally:
            forwarder.stop()
            os.unlink(path)


def _bind(server: socket.socket, folder: str) -> None:
    """Bind to `folder`/agent, which may be longer than a socket's address (108 bytes)."""
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        server.bind(f"/proc/self/fd/{directory}/agent")
    finally:
        os.close(directory)


class _Forwarder:
    """A thread that accepts, and one for each connection."""

    def __init__(self, server: socket.socket, agent: str) -> None:
        self._server = server
        self._agent = agent
        self._accepting = threading.Thread(target=self._accept, name="ssh-agent", daemon=True)

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._accepting.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="ssh-agent", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as upstream, suppress(OSError):
            upstream.connect(self._agent)
            _pump(client, upstream)


def _pump(client: socket.socket, upstream: socket.socket) -> None:
    """Pass bytes both ways until one side has had enough."""
    while True:
        readable, _, _ = select.select([client, upstream], [], [])
        for source in readable:
            data = source.recv(_CHUNK)
            if not data:
                return
            (upstream if source is client else client).sendall(data)
