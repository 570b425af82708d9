"""Connections without `requests`: kept where they can be, given up where they cannot; answers of every shape."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from ssl import SSLContext

import pytest

from executor.registry.http import Connections, DirectResponse
from executor.registry.reasons import connection_failure, hung_up
from executor.registry.transport import Transport
from executor.registry.wire import HttpConnection, ProtocolError
from executor.spec import RegistryOptions
from tests.support.fake_registry import FakeRegistry

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


class Server:
    """Accepts connections and gives each the next of its scripts: an answer for each request, then the end."""

    def __init__(self, scripts: list[list[bytes]]) -> None:
        self._scripts = iter(scripts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Semaphore(0)
        """Once for each connection that the server has closed."""

    def serve(self) -> None:
        with suppress(OSError):
            for script in self._scripts:
                peer, _ = self._listener.accept()
                self.connections += 1
                with peer:
                    for answer in script:
                        if request := _read_request(peer):
                            self.requests.append(request)
                            peer.sendall(answer)
                self.ended.release()

    def close(self) -> None:
        self._listener.close()


def _read_request(peer: socket.socket) -> bytes:
    """The next request, b'' when none comes any more."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := peer.recv(4096)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += peer.recv(4096)
    return head + b"\r\n\r\n" + body


@contextmanager
def served(*scripts: list[bytes]) -> Iterator[tuple[Server, Connections]]:
    server = Server(list(scripts))
    thread = threading.Thread(target=server.serve)
    thread.start()
    connections = Connections(no_tls)
    try:
        yield server, connections
    finally:
        connections.close()
        server.close()
        with suppress(OSError):  # it may wait for a connection that nobody needed
            socket.create_connection(server.url.removeprefix("http://").split(":"), 0.1).close()  # type: ignore[arg-type]
        thread.join()


def no_tls() -> SSLContext:
    raise AssertionError("nobody asked for TLS")


def ask(
    server: Server, connections: Connections, method: str = "GET", body: bytes | None = None, silence: float = 10
) -> DirectResponse:
    return connections.request(method, f"{server.url}/v2/x?y=z", headers={"A": "b"}, body=body, silence=silence)


def text(response: DirectResponse) -> bytes:
    with response:
        return b"".join(iter(lambda: response.read(3), b""))


def test_one_connection_serves_requests_one_after_the_other() -> None:
    empty, none = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nT: t\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"
    with served([OK, empty, none, chunked, head, OK]) as (server, connections):
        assert text(ask(server, connections)) == b"body"
        ask(server, connections, "POST", b"sent").close()
        ask(server, connections, "DELETE").close()
        assert text(ask(server, connections)) == b"body"
        assert text(ask(server, connections, "HEAD")) == b""
        assert text(ask(server, connections)) == b"body"
        assert server.connections == 1
    assert server.requests[1].startswith(b"POST /v2/x?y=z HTTP/1.1\r\n")
    assert server.requests[1].endswith(b"\r\n\r\nsent")
    assert b"\r\nA: b\r\n" in server.requests[0]


def test_a_post_without_a_body_says_so() -> None:
    with served([OK]) as (server, connections):
        text(ask(server, connections, "POST"))
    assert b"Content-Length: 0\r\n" in server.requests[0]


@pytest.mark.parametrize(
    "first",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody"],
        [b"HTTP/1.1 200 OK\r\n\r\nbody"],
        [OK],  # and then the server ends it
    ],
)
def test_an_ended_connection_is_not_used_again(first: list[bytes]) -> None:
    with served(first, [OK]) as (server, connections):
        assert text(ask(server, connections)) == b"body"
        server.ended.acquire()
        assert text(ask(server, connections)) == b"body"
        assert server.connections == 2


def test_an_answer_that_is_not_read_costs_its_connection() -> None:
    with served([OK, OK], [OK]) as (server, connections):
        with ask(server, connections) as response:
            assert response.read(2) == b"bo"
        assert text(ask(server, connections)) == b"body"
        assert server.connections == 2


def test_requests_at_once_have_connections_of_their_own(registry: FakeRegistry) -> None:
    connections = Connections(no_tls)
    url = f"{registry.url}/v2/"
    first = connections.request("GET", url, headers={}, body=None, silence=10)
    second = connections.request("GET", url, headers={}, body=None, silence=10)
    assert (text(first), text(second)) == (b"", b"")
    connections.close()


def test_headers_are_found_in_any_case_and_joined() -> None:
    answer = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nwww-authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
    with served([answer]) as (server, connections), ask(server, connections) as response:
        assert response.headers.get("Www-Authenticate", "") == "Basic, Bearer"
        assert response.headers.get("Location", "none") == "none"
        assert response.status_code == 401


def test_an_answer_that_ends_early_is_a_failure() -> None:
    with served([OK[:-2]]) as (server, connections), ask(server, connections) as response:
        assert response.read(100) == b"bo"
        with pytest.raises(ProtocolError):
            response.read(100)


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK",
        HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
        HEAD + b"Content-Length: -4\r\n\r\nbody",
        HEAD + b"A: b\r\n",
        HEAD + b"A: b\r\n" * 200 + b"\r\n",
        HEAD + b"A: b\r\n" + b" folded\r\n" * 200 + b"\r\n",
        HEAD + b"no header\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + OK,
        HEAD + b"A: " + bytes(1 << 17) + b"\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    with served([answer]) as (server, connections), pytest.raises(ProtocolError):
        ask(server, connections)


def test_a_server_that_ends_the_connection_without_an_answer_has_hung_up() -> None:
    with served([b""]) as (server, connections), pytest.raises(ConnectionResetError) as caught:
        ask(server, connections)
    assert hung_up(caught.value)


@pytest.mark.parametrize(
    "body", [b"x\r\nbody\r\n0\r\n\r\n", b"-4\r\nbody\r\n0\r\n\r\n", b"8\r\nbody", b"4\r\nbody\r\n"]
)
def test_pieces_without_a_size_or_an_end_are_failures(body: bytes) -> None:
    with served([CHUNKED + body]) as (server, connections), pytest.raises(ProtocolError):
        text(ask(server, connections))


def test_pieces_are_put_together() -> None:
    pieces = CHUNKED + b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"
    with served([pieces]) as (server, connections), ask(server, connections) as response:
        assert response.read(100) == b"body"


@pytest.mark.parametrize(
    ("head", "come"),
    [
        (b"Content-Length: 4", [b"bo", b"dy"]),
        (b"Connection: close", [b"bo", b"dy"]),
        (b"Transfer-Encoding: chunked", [b"2\r\nbo\r\n", b"2\r\ndy\r\n0\r\n\r\n"]),
        (b"Transfer-Encoding: chunked", [b"4\r\nbo", b"dy\r\n0\r\n\r\n"]),
    ],
)
def test_what_has_come_is_given_before_the_rest_comes(head: bytes, come: list[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = HttpConnection("127.0.0.1", listener.getsockname()[1], 5, None)
        peer, _ = listener.accept()
        with peer, closing(connection):
            peer.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + come[0])
            answer = connection.answer("GET")
            assert answer.read_some(100) == b"bo"
            peer.sendall(come[1])
            peer.shutdown(socket.SHUT_WR)
            assert [answer.read_some(100), answer.read_some(100)] == [b"dy", b""]
            assert answer.ended


def test_what_a_server_says_beforehand_is_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with served([early + OK]) as (server, connections):
        assert text(ask(server, connections)) == b"body"


def test_a_header_on_two_lines_is_one() -> None:
    answer = b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\nno header\r\nContent-Length: 0\r\n\r\n"
    with served([answer]) as (server, connections), ask(server, connections) as response:
        assert response.headers.get("A", "") == "b c"


@pytest.mark.parametrize("value", ["a\r\nB: c", "\N{SNOWMAN}"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    with served([OK]) as (server, connections), pytest.raises(ProtocolError):
        connections.request("GET", f"{server.url}/", headers={"A": value}, body=None, silence=10)


def test_a_silent_server_is_told_of_as_slow() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    with silent, pytest.raises(OSError) as caught:
        Connections(no_tls).request("GET", url, headers={}, body=None, silence=0.05)
    assert str(connection_failure("r.example", url, caught.value)).endswith("it took too long")


def test_a_refusal_is_heard_although_the_rest_was_not_taken() -> None:
    """A server that answers before it has the body, and hangs up, has said what it wanted."""
    listener = socket.create_server(("127.0.0.1", 0))
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(64)
            peer.sendall(refused)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(1 << 16):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with (
        listener,
        Connections(no_tls).request("PUT", url, headers={}, body=bytes(4 << 20), silence=10) as response,
    ):
        assert response.status_code == 413
    thread.join()


@pytest.mark.parametrize("target", ["/a b", "/ü", "/x?state=a b"])
def test_addresses_that_have_to_be_quoted_are_asked_for(registry: FakeRegistry, target: str) -> None:
    transport = Transport(registry.host, RegistryOptions(), "pull")
    with transport.send_once("GET", registry.url + target, headers={}) as response:
        assert response.status_code == 404
    transport.close()
    assert registry.requests[-1].path.isascii()
    assert " " not in registry.requests[-1].path


def test_requests_is_imported_for_proxies_only(registry: FakeRegistry) -> None:
    code = (
        "import sys\n"
        "from executor.registry.transport import Transport\n"
        "from executor.spec import RegistryOptions\n"
        f"transport = Transport({registry.host!r}, RegistryOptions(), 'pull')\n"
        "with transport.send('GET', '/v2/', headers={}) as answer:\n"
        "    print(answer.status_code, 'requests' in sys.modules)\n"
    )
    for environment, loaded in [({}, False), ({"https_proxy": "http://127.0.0.1:1"}, True)]:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path), "no_proxy": "127.0.0.1", **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == ["200", str(loaded)]
