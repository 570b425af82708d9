"""docker's credential helpers: programs named docker-credential-NAME that are asked for a server's login.

Protocol: `get` as argument and the server's name on standard input; an object of ServerURL, Username and Secret on
standard output, or status 1 and "credentials not found". The user name `<token>` marks an identity token.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from executor.events import Sink, Warned
from executor.image.reference import DOCKER_HUB
from executor.ownroot import own_root
from executor.registry.credentials import Credential, Secret

HELPER_SECONDS = 60.0
_KEPT_SECONDS = 300.0
_HUB_SERVER = "https://index.docker.io/v1/"


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
                credential = self._ask(_HUB_SERVER if server == DOCKER_HUB else server)
                self._answers[server] = (self._clock(), credential)
            return credential

    def _ask(self, server: str) -> Credential | None:
        try:
            output = _run(self.program, server)
            return _credential(output, self.program) if output else None
        except _UnusableError as error:
            if not self._warned:
                self._sink(Warned(message=f"the credential helper {self.program} {error}; going on without it"))
            self._warned = True
            return None


class _UnusableError(Exception):
    """Why a helper could not answer, as the rest of a sentence."""


def _credential(output: bytes, program: str) -> Credential:
    try:
        answer = json.loads(output)
        username, secret = str(answer["Username"]), Secret(str(answer["Secret"]))
    except (ValueError, KeyError, TypeError):
        raise _UnusableError("gave an answer that is not of its protocol") from None
    if username == "<token>":
        return Credential(identity_token=secret, origin=program)
    return Credential(username=username, password=secret, origin=program)


def _run(program: str, server: str) -> bytes:
    """What `program` says about `server`, b'' when it knows nothing."""
    import subprocess

    try:
        with own_root():
            finished = subprocess.run(
                [program, "get"], input=server.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False
            )
    except subprocess.TimeoutExpired:
        raise _UnusableError(f"did not answer within {HELPER_SECONDS:.0f} seconds") from None
    except OSError as error:
        raise _UnusableError(f"cannot be run: {error.strerror}") from None
    if finished.returncode and b"not found" not in finished.stdout:
        raise _UnusableError(f"failed with status {finished.returncode}")
    return b"" if finished.returncode else finished.stdout
