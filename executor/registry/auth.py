"""Authorization at one registry: what its challenges ask for, and tokens, kept until they expire.

A registry that answers 401 names in WWW-Authenticate how to log in: Basic, or Bearer with a token service, its
`realm`, that gives tokens for scopes as `repository:library/busybox:pull` (distribution's token and oauth2 specs).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlencode

from executor.dataclass import dataclass, field
from executor.errors import AuthError, RegistryError
from executor.registry.answers import read_answer, read_json
from executor.registry.credentials import Credential, Keychain, Secret
from executor.registry.http import Response
from executor.registry.reasons import ANONYMOUS, refusal
from executor.registry.transport import Transport

_TOKEN_SECONDS = 60.0
"""How long a token lives that does not say so itself (token spec, `expires_in`)."""

_LONGEST_SECONDS = 86400.0
"""The longest that it is taken at its word."""

_EARLY = 10.0
_CLIENT_ID = "krunner"
_ATOM = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ITEM = re.compile(rf'({_ATOM})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in. `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """Read WWW-Authenticate headers, joined by commas (RFC 9110, 11.6.1). What is malformed is left out."""
    challenges: list[Challenge] = []
    parameters: dict[str, str] = {}
    for item in _ITEM.finditer(header):
        name, quoted, plain = item[1].lower(), item[2], item[3]
        if quoted is None and plain is None:
            parameters = {}
            challenges.append(Challenge(name, parameters))
        elif challenges:
            parameters[name] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
    return challenges


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    expires: float


class Authorizer:
    """Gives the Authorization header for each request to one registry. Safe for several threads.

    Until the registry has challenged once, nothing is sent: it may not want to know who we are. With `offline`
    the token service is asked for an identity token as well, which `identity_token` is then (token spec,
    `offline_token`).
    """

    def __init__(
        self,
        transport: Transport,
        keychain: Keychain,
        *,
        offline: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.identity_token = Secret()
        self._offline = offline
        self._transport = transport
        self._keychain = keychain
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], _Token] = {}

    def credential(self, repository: str) -> Credential | None:
        """Who we are at `repository`, None when anonymous."""
        return self._keychain.lookup(self._transport.registry, repository)

    def identity(self, repository: str) -> str:
        """`credential` in words, for messages."""
        credential = self.credential(repository)
        return str(credential) if credential else ANONYMOUS

    def header(self, repository: str, scopes: tuple[str, ...]) -> str:
        """The header to send for `scopes`, '' for none.

        Raises AuthError when the token service refuses, RegistryError when it does not answer.
        """
        with self._lock:
            return self._header(self._challenge, repository, scopes) if self._challenge else ""

    def answer(self, challenges: str, repository: str, scopes: tuple[str, ...], *, refused: str) -> str:
        """The header to try after a 401 with these challenges, '' when there is none but the `refused` one."""
        challenge = _preferred(parse_challenges(challenges))
        if challenge is None:
            return ""
        with self._lock:
            self._challenge = challenge
            wanted = _with_challenged(scopes, challenge.parameters.get("scope", ""))
            for key in [key for key, token in self._tokens.items() if token.header == refused]:
                del self._tokens[key]
            header = self._header(challenge, repository, wanted)
            if wanted != scopes and (token := self._tokens.get(self._key(challenge, repository, wanted))):
                self._tokens[self._key(challenge, repository, scopes)] = token
        return header if header != refused else ""

    def _header(self, challenge: Challenge, repository: str, scopes: tuple[str, ...]) -> str:
        credential = self.credential(repository)
        if challenge.scheme == "basic":
            return _basic(credential) if credential and credential.password else ""
        if credential and credential.registry_token:
            return f"Bearer {credential.registry_token.reveal()}"
        key = self._key(challenge, repository, scopes)
        token = self._tokens.get(key)
        if token is None or token.expires <= self._clock():
            token = self._tokens[key] = self._fetch(challenge, repository, scopes, credential)
        return token.header

    def _key(self, challenge: Challenge, repository: str, scopes: tuple[str, ...]) -> tuple[str, ...]:
        identity = self.identity(repository)
        return (challenge.parameters.get("realm", ""), challenge.parameters.get("service", ""), identity, *scopes)

    def _fetch(
        self, challenge: Challenge, repository: str, scopes: tuple[str, ...], credential: Credential | None
    ) -> _Token:
        realm = self._transport.address(challenge.parameters.get("realm", ""))
        registry = self._transport.registry
        if credential and not self._transport.may_carry_secrets(realm):
            raise AuthError(f"{registry} wants its password sent to a token service without TLS", status=401)
        response = self._request(realm, challenge, scopes, credential)
        if response.status_code != 200:
            secrets = credential.secrets() if credential else ()
            doing = f"get a token for {', '.join(scopes) or registry}"
            identity = self.identity(repository)
            raise refusal(read_answer(response), registry, doing, identity=identity, secrets=secrets)
        document = read_json(response, registry)
        if self._offline:
            self.identity_token = Secret(str(document.get("refresh_token") or ""))
        return self._token(document)

    def _request(
        self, realm: str, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None
    ) -> Response:
        """Ask the token service: by oauth2 with an identity token, else by GET with user and password, if any."""
        service = challenge.parameters.get("service", "")
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credential.identity_token.reveal(),
                "service": service,
                "scope": " ".join(scopes),
                "client_id": _CLIENT_ID,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._transport.send_once("POST", realm, headers=headers, body=urlencode(form).encode())
        parameters = [("service", service)] * bool(service) + [("scope", scope) for scope in scopes]
        if self._offline:
            parameters += [("offline_token", "true"), ("client_id", _CLIENT_ID)]
        query = urlencode(parameters)
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        headers = {"Authorization": _basic(credential)} if credential and credential.password else {}
        return self._transport.send_once("GET", url, headers=headers)

    def _token(self, document: Mapping[str, object]) -> _Token:
        text = document.get("token") or document.get("access_token")
        if not isinstance(text, str) or re.search(r"[^\x21-\x7e]", text):
            raise RegistryError(f"the token service of {self._transport.registry} gave no token", status=502)
        seconds = document.get("expires_in")
        lifetime = _TOKEN_SECONDS
        if isinstance(seconds, int | float) and seconds > 0:
            lifetime = min(seconds, _LONGEST_SECONDS)
        return _Token(f"Bearer {text}", self._clock() + max(lifetime - _EARLY, lifetime / 2))


def _preferred(challenges: Iterable[Challenge]) -> Challenge | None:
    usable = [c for c in challenges if c.scheme == "basic" or (c.scheme == "bearer" and c.parameters.get("realm"))]
    return min(usable, key=lambda challenge: challenge.scheme != "bearer", default=None)


def _with_challenged(scopes: tuple[str, ...], challenged: str) -> tuple[str, ...]:
    """`scopes` and those the registry asked for that they do not cover."""
    return (*scopes, *(scope for scope in challenged.split() if not any(_covers(own, scope) for own in scopes)))


def _covers(own: str, scope: str) -> bool:
    own_name, _, own_actions = own.rpartition(":")
    name, _, actions = scope.rpartition(":")
    return own_name == name and set(actions.split(",")) <= set(own_actions.split(","))


def _basic(credential: Credential) -> str:
    return f"Basic {credential.basic()}"
