"""A registry in memory, served by a thread on a loopback port, that fails on demand.

    with FakeRegistry() as registry:
        registry.blobs["team/app"][digest] = content
        registry.faults.append(Fault(method="GET", path="/blobs/", status=503, times=1))

It speaks what the distribution spec asks for and keeps every request in `requests`, in order of arrival.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
import re
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

_MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)\Z")
_BLOB = re.compile(r"/v2/(.+)/blobs/([^/]+:[^/]+)\Z")
_UPLOADS = re.compile(r"/v2/(.+)/blobs/uploads/\Z")
_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)\Z")


@dataclass(kw_only=True)
class Fault:
    """What goes wrong with requests whose method and path (a part of it) match, for the next `times` of them.

    `status` answers with that status, `headers` and `body`. `drop_after` breaks the connection after so many bytes
    of the body (0: before any answer). `content` is served instead of the right one; `truncate_to` announces and
    serves a shorter blob; `redirect_to` answers 307 to another base address. `delay` waits so many seconds before
    anything else, `trickle` between the bytes of the body. With `meet` requests wait until so many are there.
    With `unread` the status is answered before the body is read, which it never is. With `silently` the request is
    carried out and the connection broken in place of an answer.
    """

    path: str
    method: str = ""
    times: int = 1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop_after: int | None = None
    content: bytes | None = None
    truncate_to: int | None = None
    redirect_to: str = ""
    delay: float = 0.0
    trickle: float = 0.0
    meet: threading.Barrier | None = None
    unread: bool = False
    silently: bool = False

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in ("", method) and self.path in path


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    size: int


class FakeRegistry:
    """The registry. `host` is `127.0.0.1:PORT`; use it as a context manager.

    `auth` asks for "basic" or "bearer" login with the `users` (name to password); `anonymous` gives bearer tokens
    without one. `mounts` False ignores cross-repository mounts, `ranges` False ignores Range, `accepts` are
    the ways of uploading that are not refused with 405. What of an upload arrived before its connection broke is
    kept if `keeps_broken`, and told of to who asks. `locates` is how uploads are named: by "path", "url", or
    "relative" to what was asked for. `keeps_at_most` are the bytes of a PATCH that are kept, which it says.
    `statuses` are what it answers to a PATCH or PUT that has worked, by method, in place of what the spec says.
    """

    def __init__(
        self, *, auth: Literal["", "basic", "bearer"] = "", tls: tuple[str, str] | None = None, mounts: bool = True
    ) -> None:
        self.auth = auth
        self.mounts = mounts
        self.ranges = True
        self.chunked = False
        self.keeps_broken = False
        self.locates: Literal["path", "url", "relative"] = "path"
        self.keeps_at_most = 1 << 62
        self.statuses = {"PATCH": 202, "PUT": 201}
        self.chunk_minimum: int | str = 0
        self.anonymous = False
        self.accepts = {"PUT", "PATCH"}
        self.users: dict[str, str] = {}
        self.refresh_tokens: set[str] = set()
        self.token_seconds = 300
        self.challenge_scope = ""
        self.blobs: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self.manifests: defaultdict[str, dict[str, tuple[str, bytes]]] = defaultdict(dict)
        self.uploads: dict[str, bytearray] = {}
        self.tokens: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.arriving = 0
        self.arrived = threading.Condition()
        self._tls = tls
        self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._issued = itertools.count()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        if self._tls:
            self.tls_context.load_cert_chain(*self._tls)
            self._server.tls = self.tls_context
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_blob(self, repository: str, content: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs[repository][digest] = content
        return digest

    def add_manifest(self, repository: str, tag: str, media_type: str, content: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.manifests[repository][digest] = (media_type, content)
        if tag:
            self.manifests[repository][tag] = (media_type, content)
        return digest

    def seen(self, method: str, path: str = "") -> list[Seen]:
        with self.lock:
            return [request for request in self.requests if request.method == method and path in request.path]

    def issue_token(self, scope: str) -> str:
        token = f"token-{next(self._issued)}"
        self.tokens[token] = scope
        return token

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.matches(method, path):
                    fault.times -= 1
                    return dataclasses.replace(fault)
        return None


class _Server(ThreadingHTTPServer):
    registry: FakeRegistry
    tls: ssl.SSLContext | None = None
    daemon_threads = True

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Close at once on a TLS greeting to a plain server and the other way round, as real ones do."""
        request.settimeout(10)
        greeting = request.recv(1, socket.MSG_PEEK)
        if (greeting == b"\x16") != (self.tls is not None) or not greeting:
            return
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return
        try:
            super().finish_request(request, client_address)
        finally:
            if self.tls is not None:
                request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: broken connections are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # type: ignore[mutable-override]  # no other server makes this handler

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Stay silent."""

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = do_GET  # noqa: N815 - names the base class looks for

    @property
    def registry(self) -> FakeRegistry:
        return self.server.registry

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.fault = self.registry.take_fault(self.command, self.path)
        if self.fault and self.fault.meet:
            self.fault.meet.wait()
        if self.fault and self.fault.delay:
            self.registry.closing.wait(self.fault.delay)
        if self.fault and self.fault.drop_after == 0:
            self.close_connection = True
            return
        if self.fault and self.fault.unread:
            self.close_connection = True
            self._answer(self.fault.status, self.fault.headers, self.fault.body)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.registry.closing.wait(0.05)  # what comes is thrown away with the connection
            return
        with self._arriving():
            body = self._read_body()
            if len(body) < int(self.headers.get("Content-Length") or 0):
                self._break_off(parts.path, body)
                return
        headers = {key.lower(): value for key, value in self.headers.items()}
        with self.registry.lock:
            self.registry.requests.append(
                Seen(method=self.command, path=self.path, headers=headers, query=self.query, size=len(body))
            )
        if self.fault and self.fault.status:
            self._answer(self.fault.status, self.fault.headers, self.fault.body)
        elif self.fault and self.fault.redirect_to:
            self._answer(307, {"Location": self.fault.redirect_to + self.path})
        elif parts.path == "/token":
            self._token(body)
        elif self._authorized(parts.path):
            self._route(parts.path, body)

    @contextmanager
    def _arriving(self) -> Iterator[None]:
        """While a body is being read, nobody is told how much of it there is."""
        with self.registry.arrived:
            self.registry.arriving += 1
        try:
            yield
        finally:
            with self.registry.arrived:
                self.registry.arriving -= 1
                self.registry.arrived.notify_all()

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _break_off(self, path: str, body: bytes) -> None:
        self.close_connection = True
        match = _UPLOAD.match(path)
        if match and self.registry.keeps_broken:
            self.registry.uploads[match[2]] += body

    def _route(self, path: str, body: bytes) -> None:
        if path == "/v2/":
            self._answer(200)
        elif match := _MANIFEST.match(path):
            self._manifest(match[1], match[2], body)
        elif match := _UPLOADS.match(path):
            self._begin_upload(match[1], body)
        elif match := _BLOB.match(path):
            self._blob(match[1], match[2])
        elif match := _UPLOAD.match(path):
            self._upload(match[1], match[2], body)
        else:
            self._refuse(404, "UNSUPPORTED")

    def _manifest(self, repository: str, selector: str, body: bytes) -> None:
        if self.command == "PUT":
            digest = self.registry.add_manifest(repository, selector, self.headers["Content-Type"], body)
            headers = {"Docker-Content-Digest": digest, "Location": self.path}
            self._answer(self.registry.statuses["PUT"], headers)
            return
        if selector not in self.registry.manifests[repository]:
            self._refuse(404, "MANIFEST_UNKNOWN")
            return
        media_type, content = self.registry.manifests[repository][selector]
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if self.fault and self.fault.content is not None:
            content = self.fault.content
        self._answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, content)

    def _blob(self, repository: str, digest: str) -> None:
        content = self.registry.blobs[repository].get(digest)
        if content is None:
            self._refuse(404, "BLOB_UNKNOWN")
            return
        fault = self.fault
        if fault and fault.content is not None:
            content = fault.content
        if fault and fault.truncate_to is not None:
            content = content[: fault.truncate_to]
        status, headers = 200, {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        wanted = re.match(r"bytes=(\d+)-\Z", self.headers.get("Range", ""))
        if wanted and self.registry.ranges:
            status, start = 206, int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        self._answer(status, headers, content)

    def _begin_upload(self, repository: str, body: bytes) -> None:
        source, digest = self.query.get("from", ""), self.query.get("mount", "")
        if self.registry.mounts and digest in self.registry.blobs[source]:
            self.registry.blobs[repository][digest] = self.registry.blobs[source][digest]
            self._answer(201, {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest})
            return
        identifier = f"upload-{len(self.registry.requests)}-{time.monotonic_ns()}"
        self.registry.uploads[identifier] = bytearray(body)
        self._answer(202, {"Location": self._location(f"/v2/{repository}/blobs/uploads/{identifier}?_state=x")})

    def _location(self, path: str) -> str:
        """`path` as this registry says it."""
        if self.registry.locates == "url":
            return self.registry.url + path
        return path.rpartition("/")[2] if self.registry.locates == "relative" else path

    def _upload(self, repository: str, identifier: str, body: bytes) -> None:
        content = self.registry.uploads.get(identifier)
        if content is None:
            self._refuse(404, "BLOB_UPLOAD_UNKNOWN")
        elif self.command == "GET":
            with self.registry.arrived:
                self.registry.arrived.wait_for(lambda: not self.registry.arriving, timeout=10)
            held = {"Range": f"0-{max(len(content) - 1, 0)}"} if self.registry.keeps_broken else {}
            self._answer(204, {"Location": self._location(self.path), **held})
        elif self.command == "DELETE":
            del self.registry.uploads[identifier]
            self._answer(204)
        elif (self.command == "PATCH" or body) and self.command not in self.registry.accepts:
            self._refuse(405, "UNSUPPORTED")
        elif self.command == "PATCH":
            content += body[: self.registry.keeps_at_most]
            headers = {"Location": self._location(self.path), "Range": f"0-{len(content) - 1}"}
            if self.registry.chunk_minimum:
                headers["OCI-Chunk-Min-Length"] = str(self.registry.chunk_minimum)
            self._answer(self.registry.statuses["PATCH"], headers)
        else:
            self._end_upload(repository, identifier, bytes(content) + body)

    def _end_upload(self, repository: str, identifier: str, content: bytes) -> None:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if digest != self.query.get("digest"):
            self._refuse(400, "DIGEST_INVALID")
            return
        del self.registry.uploads[identifier]
        self.registry.blobs[repository][digest] = content
        headers = {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest}
        self._answer(self.registry.statuses["PUT"], headers)

    def _authorized(self, path: str) -> bool:
        given = self.headers.get("Authorization", "")
        if not self.registry.auth:
            return True
        if self.registry.auth == "basic":
            if self._user(given):
                return True
            self._refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="fake registry"'})
            return False
        scope = self.registry.tokens.get(given.removeprefix("Bearer "), None)
        if scope is not None and (path == "/v2/" or self._covered(scope)):
            return True
        needed = self.registry.challenge_scope or self._needed_scope()
        challenge = f'Bearer realm="{self.registry.url}/token",service="fake",scope="{needed}"'
        self._refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        return False

    def _needed_scope(self) -> str:
        match = re.match(r"/v2/(.+?)/(?:manifests|blobs)/", self.path)
        action = "pull" if self.command in ("GET", "HEAD") else "pull,push"
        return f"repository:{match[1]}:{action}" if match else ""

    def _covered(self, scope: str) -> bool:
        name, _, actions = self._needed_scope().rpartition(":")
        granted = dict(item.rpartition(":")[::2] for item in scope.split())
        return set(actions.split(",")) <= set(granted.get(name, "").split(","))

    def _user(self, authorization: str) -> str:
        scheme, _, encoded = authorization.partition(" ")
        if scheme != "Basic":
            return ""
        name, _, password = base64.b64decode(encoded).decode().partition(":")
        return name if self.registry.users.get(name) == password else ""

    def _token(self, body: bytes) -> None:
        if self.command == "POST":
            form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
            allowed = form.get("refresh_token") in self.registry.refresh_tokens
            scope = form.get("scope", "")
        else:
            given = self.headers.get("Authorization", "")
            allowed = bool(self._user(given)) or (self.registry.anonymous and not given)
            scope = " ".join(parse_qs(urlsplit(self.path).query).get("scope", ()))
        if not allowed:
            self._refuse(401, "UNAUTHORIZED")
            return
        document = {"token": self.registry.issue_token(scope), "expires_in": self.registry.token_seconds}
        if self.registry.refresh_tokens and parse_qs(urlsplit(self.path).query).get("offline_token") == ["true"]:
            document["refresh_token"] = next(iter(self.registry.refresh_tokens))
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        document = {"errors": [{"code": code, "message": code.lower().replace("_", " "), "detail": None}]}
        self._answer(
            status, {**(headers or {}), "Content-Type": "application/json"}, json.dumps(document).encode()
        )

    def _answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        if self.fault and self.fault.silently:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        chunked = self.registry.chunked and self.command == "GET"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault and self.fault.drop_after is not None:
            body = body[: self.fault.drop_after]
            self.close_connection = True
        if self.fault and self.fault.trickle:
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.registry.closing.wait(self.fault.trickle)
            return
        self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
