"""Whether a registry takes a login, asked before it is kept: what `docker login` does.

The registry's `/v2/` challenges, and the login answers. A token service is asked for an identity token as well,
which is kept in place of the password.
"""

from __future__ import annotations

from executor.dataclass import dataclass, replace
from executor.errors import AuthError, NotFoundError
from executor.events import Sink
from executor.registry.answers import read_answer
from executor.registry.auth import Authorizer
from executor.registry.credentials import Credential, Keychain, Secret
from executor.registry.http import Response
from executor.registry.reasons import refusal
from executor.registry.retry import Retrying
from executor.registry.transport import Transport
from executor.spec import RegistryOptions

_ROOT = "/v2/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The login to keep. `asked` is False for a registry that lets everybody in: nothing was checked."""

    credential: Credential
    asked: bool


class _Only(Keychain):
    """Knows one login, whatever it is asked for."""

    def __init__(self, credential: Credential) -> None:
        super().__init__()
        self._credential = credential

    def lookup(self, registry: str, repository: str) -> Credential | None:
        del registry, repository
        return self._credential


def check_login(registry: str, credential: Credential, options: RegistryOptions, sink: Sink) -> Checked:
    """Log in at `registry` (`host[:port]`). Temporary failures are tried again by `options.pull_retry`.

    Raises AuthError when it refuses, RegistryError when it does not answer or is none.
    """
    try:
        return Retrying(options.pull_retry, sink, f"log in at {registry}")(_check, registry, credential, options)
    except AuthError as error:
        error.hint = "check the user name and the password or token; tokens expire, and need the right to read"
        raise
    except NotFoundError as error:
        error.hint = f"is {registry} the registry's own host, and not that of its web pages?"
        raise


def _check(registry: str, credential: Credential, options: RegistryOptions) -> Checked:
    transport = Transport(registry, options, "push")
    authorizer = Authorizer(transport, _Only(credential), offline=True)
    try:
        with transport.send("GET", _ROOT, headers={}) as first:
            asked = first.status_code == 401 and transport.is_registry(first.url)
            header = _header(first, authorizer) if asked else ""
            if not header:
                _expect_welcome(first, registry, credential)
        if header:
            with transport.send("GET", _ROOT, headers={}, authorization=header) as second:
                _expect_welcome(second, registry, credential)
    finally:
        transport.close()
    if token := authorizer.identity_token:
        credential = replace(credential, password=Secret(), identity_token=token)
    return Checked(credential=credential, asked=asked)


def _header(response: Response, authorizer: Authorizer) -> str:
    """What answers the registry's challenges, '' when nothing of ours does."""
    return authorizer.answer(response.headers.get("WWW-Authenticate", ""), "", (), refused="")


def _expect_welcome(response: Response, registry: str, credential: Credential) -> None:
    if response.status_code != 200:
        raise refusal(
            read_answer(response),
            registry,
            f"log in at {registry}",
            identity=str(credential),
            secrets=credential.secrets(),
        )
