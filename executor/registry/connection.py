"""One registry, logged in: requests with authorization, one repeat after a 401, and refusals as errors."""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import dataclass, field
from executor.errors import Error, RegistryError
from executor.registry.answers import read_answer
from executor.registry.auth import Authorizer
from executor.registry.credentials import Keychain
from executor.registry.hosts import Purpose
from executor.registry.http import Body, Response
from executor.registry.reasons import host_of, refusal
from executor.registry.transport import Transport
from executor.spec import RegistryOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a registry.

    `url` is a path or what a Location header said. `doing` completes "cannot …" in messages. `mount_from` is a
    further repository that must be readable. `expect` are the statuses that are no failure. The registry has
    failed when it is silent for `silence` seconds, None for the usual patience.
    """

    method: str
    url: str
    doing: str
    repository: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    mount_from: str = ""
    expect: tuple[int, ...] = (200,)
    silence: float | None = None


class Connection:
    """Calls to one registry. Safe for several threads."""

    def __init__(
        self,
        registry: str,
        options: RegistryOptions,
        keychain: Keychain,
        purpose: Purpose,
        *,
        silence: float | None = None,
    ) -> None:
        self.registry = registry
        self._actions = "pull,push" if purpose == "push" else "pull"
        self._transport = Transport(registry, options, purpose, silence=silence)
        self._authorizer = Authorizer(self._transport, keychain)

    def call(self, call: Call) -> Response:
        """The answer, its body unread (close it, or read it with `answers`).

        Raises RegistryError or one of its kinds for any status that `call` does not expect.
        """
        response = self._send(call)
        if response.status_code not in call.expect:
            raise self._refusal(call, response)
        return response

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def _send(self, call: Call) -> Response:
        scopes = self._scopes(call)
        header = self._authorizer.header(call.repository, scopes)
        response = self._send_once(call, header)
        if response.status_code != 401 or not self._transport.is_registry(response.url):
            return response  # a blob store that it leads to has no say in whom the password goes to
        try:
            challenges = response.headers.get("WWW-Authenticate", "") or self._challenges_of_root()
            fresh = self._authorizer.answer(challenges, call.repository, scopes, refused=header)
        except Error:
            response.close()
            raise
        if not fresh:
            return response
        response.close()
        return self._send_once(call, fresh)

    def _send_once(self, call: Call, authorization: str) -> Response:
        try:
            return self._transport.send(
                call.method,
                call.url,
                headers=call.headers,
                body=call.body,
                authorization=authorization,
                silence=call.silence,
            )
        except RegistryError as error:
            error.message = f"cannot {call.doing}: {error.message}"
            raise

    def _challenges_of_root(self) -> str:
        """What `/v2/` asks for; some registries challenge only there."""
        with self._transport.send("GET", "/v2/", headers={}) as response:
            own = self._transport.is_registry(response.url)
            return response.headers.get("WWW-Authenticate", "") if own else ""

    def _scopes(self, call: Call) -> tuple[str, ...]:
        own = f"repository:{call.repository}:{self._actions}"
        return (own, f"repository:{call.mount_from}:pull") if call.mount_from else (own,)

    def _refusal(self, call: Call, response: Response) -> RegistryError:
        credential = self._authorizer.credential(call.repository)
        return refusal(
            read_answer(response),
            self.registry,
            call.doing,
            identity=self._authorizer.identity(call.repository),
            secrets=credential.secrets() if credential else (),
            elsewhere="" if self._transport.is_registry(response.url) else host_of(response.url),
        )
