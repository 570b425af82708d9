"""docker's credential helpers: programs named docker-credential-NAME that are asked for a server's login.

Protocol: `get` as argument and the server's name on standard input; an object of ServerURL, Username and Secret on
standard output, or status 1 and "credentials not found". `store` reads such an object, `erase` a server's name.
The user name `<token>` marks an identity token.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from executor import hangup
from executor.errors import UnfitError
from executor.events import Sink, Warned
from executor.image.reference import DOCKER_HUB
from executor.ownroot import own_root
from executor.registry.credentials import Credential, Secret

HELPER_SECONDS = 60.0
_LOOK_UP = 0.2  # seconds until somebody looks whether the build is being stopped
_KEPT_SECONDS = 300.0
HUB_SERVER = "https://index.docker.io/v1/"
"""Docker Hub's name in docker's configuration and for helpers."""

_TOKEN_USER = "<token>"  # noqa: S105
_QUOTED = 200


class CredentialHelper:
    """One helper. Answers are kept for five minutes, since cloud tokens expire; a failure is told once."""

    def __init__(self, name: str, sink: Sink, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.program = f"docker-credential-{name}"
        self._sink = sink
        self._clock = clock
        self._lock = threading.Lock()
        self._warned = False
        self._answers: dict[str, tuple[float, Credential | None]] = {}

    def get(self, server: str) -> Credential | None:
        """The login at `server` (`host[/path]`); None when the helper has none or does not work."""
        with self._lock:
            asked, credential = self._answers.get(server, (float("-inf"), None))
            if self._clock() - asked > _KEPT_SECONDS:
                credential = self._ask(server)
                self._answers[server] = (self._clock(), credential)
            return credential

    def store(self, server: str, credential: Credential) -> None:
        """Give the helper a login to keep. Raises UnfitError when it cannot, as those of clouds."""
        secret = credential.identity_token or credential.password
        document = {
            "ServerURL": _server_name(server),
            "Username": _TOKEN_USER if credential.identity_token else credential.username,
            "Secret": secret.reveal(),
        }
        try:
            _run(self.program, "store", json.dumps(document), secret)
        except _UnusableError as error:
            raise UnfitError(
                f"the credential helper {self.program} cannot keep the login: it {error}{error.said}",
                hint=f"a helper that logs in by itself needs none; else remove it from the file for {server}",
            ) from None

    def erase(self, server: str) -> bool:
        """Have the helper forget a login; False when it had none. Raises UnfitError when it cannot."""
        if not self.get(server):
            return False
        try:
            _run(self.program, "erase", _server_name(server))
        except _UnusableError as error:
            message = f"the credential helper {self.program} cannot forget the login: it {error}{error.said}"
            raise UnfitError(message) from None
        return True

    def _ask(self, server: str) -> Credential | None:
        try:
            output = _run(self.program, "get", _server_name(server))
            return _credential(output, self.program) if output else None
        except _UnusableError as error:
            if not self._warned:
                self._sink(Warned(message=f"the credential helper {self.program} {error}; going on without it"))
            self._warned = True
            return None


class _UnusableError(Exception):
    """Why a helper could not answer, as the rest of a sentence; `said` is what it printed, to follow that."""

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.said = said


def _credential(output: bytes, program: str) -> Credential:
    try:
        answer = json.loads(output)
        username, secret = str(answer["Username"]), Secret(str(answer["Secret"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _UnusableError("gave an answer that is not of its protocol") from None
    if username == _TOKEN_USER:
        return Credential(identity_token=secret, origin=program)
    return Credential(username=username, password=secret, origin=program)


def _server_name(server: str) -> str:
    """What helpers call `server`: Docker Hub has a name of its own."""
    return HUB_SERVER if server == DOCKER_HUB else server


def _run(program: str, command: str, told: str, secret: Secret | None = None) -> bytes:
    """What `program` answers to `command`, b'' when it knows nothing. It may repeat the `secret` it was told."""
    status, output, complaints = _finished(program, command, told.encode())
    if status and (command == "store" or b"not found" not in output):
        text = _quoted((output or complaints).decode("utf-8", "replace"), secret or Secret())
        raise _UnusableError(f"failed with status {status}", f" ({text})" if text else "")
    return b"" if status else output


def _finished(program: str, command: str, told: bytes) -> tuple[int, bytes, bytes]:
    """Exit status and output of a helper, which is killed when it takes too long, or the build is being stopped.

    Raises _UnusableError, and StoppedError.
    """
    from subprocess import PIPE, Popen, TimeoutExpired

    deadline = time.monotonic() + HELPER_SECONDS
    sent: bytes | None = told
    try:
        with own_root(), Popen([program, command], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
            try:
                while True:
                    hangup.check()
                    with suppress(TimeoutExpired):
                        output, complaints = process.communicate(sent, timeout=_LOOK_UP)
                        return process.returncode, output, complaints
                    sent = None  # that is under way
                    if time.monotonic() > deadline:
                        raise _UnusableError(f"did not answer within {HELPER_SECONDS:.0f} seconds")
            finally:
                process.kill()
    except OSError as error:
        raise _UnusableError(f"cannot be run: {error.strerror}") from None


def _quoted(output: str, secret: Secret) -> str:
    """The beginning of `output` on one line, without any word of `secret`, which may be a key of many lines."""
    plain = secret.reveal()
    words = {*plain.split(), *json.dumps(plain)[1:-1].split()}
    for word in sorted(words, key=len, reverse=True):
        output = output.replace(word, "***")
    text = " ".join(output.split())[:_QUOTED]
    return "".join(char for char in text if char.isprintable())
