"""What went wrong, from HTTP answers and broken connections to errors a user can act on.

Bodies of answers are quoted only in part and never with a secret; addresses never with their query, which is where
signed URLs carry theirs.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from executor.dataclass import dataclass
from executor.errors import AuthError, NotFoundError, RegistryError
from executor.registry.http import Headers
from executor.registry.numbers import whole_number
from executor.registry.wire import ProtocolError

_QUOTED = 300
_IMMUTABLE = re.compile(
    r"has enabled tag immutability|because the (?:tag|repository) is immutable|configured as immutable"
)
_WANTS_CERTIFICATE = re.compile(r"_ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA|HANDSHAKE_FAILURE)$")
"""What servers say of a client without a certificate, or with another's (RFC 8446, section 6.2)."""
_PROXIES = "HTTPS_PROXY and HTTP_PROXY are http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (.+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[\w.~+/=-]{16,}", re.IGNORECASE)
"""What a proxy quotes that shows the request it has got: a password in base64, or a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is kept of an unwelcome HTTP answer: `body` is its beginning, undecoded."""

    status: int
    headers: Headers
    body: bytes


def refusal(
    answer: Answer, registry: str, doing: str, *, identity: str, secrets: Iterable[str], elsewhere: str = ""
) -> RegistryError:
    """The error for an answer of 3xx to 5xx to an attempt at `doing` ("pull x:1").

    `identity` says who asked ("user 'bob' from /root/.docker/config.json"); `secrets` are cut from what is quoted.
    `elsewhere` is the host that answered, where the registry has sent us on to another.
    """
    codes, detail = _explanation(answer.body, secrets)
    what = f"cannot {doing}: {elsewhere or registry} answered {answer.status}" + (f" ({detail})" if detail else "")
    retry_after = parse_retry_after(answer.headers.get("Retry-After", ""))
    if answer.status in (401, 403) and elsewhere:
        hint = f"{registry} keeps it at {elsewhere}: does a proxy or a firewall stand before that?"
        return RegistryError(what, status=answer.status, codes=codes, hint=hint)
    if answer.status in (401, 403):
        return AuthError(
            f"{what}; asked {identity}", status=answer.status, codes=codes, hint=_auth_hint(registry, identity)
        )
    if answer.status == 404:
        return NotFoundError(what, status=404, codes=codes, hint="check the name, the tag and the registry")
    return RegistryError(
        what, status=answer.status, codes=codes, retry_after=retry_after, hint=_HINTS.get(answer.status, "")
    )


_HINTS = {
    429: "the registry limits requests: log in, or use a mirror",
    413: "a proxy before the registry limits the size of uploads",
    301: "use the address that the registry redirects to",
    302: "use the address that the registry redirects to",
}

ANONYMOUS = "without credentials"


def connection_failure(registry: str, url: str, error: BaseException) -> RegistryError:
    """The error for a request that got no answer. Certificates that are not taken are not worth a retry."""
    certificate = _find(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        return _lasting(
            f"{registry}: the certificate of {_place(url)} does not verify: {certificate.verify_message}",
            hint=f"trust its authority with --registry-certificate {registry}=FILE",
        )
    failed = _find(error, ssl.SSLError)
    if failed is not None and _WANTS_CERTIFICATE.search(failed.reason or ""):
        return _lasting(
            f"{registry}: {_place(url)} wants a certificate of its clients that it trusts ({failed.reason})",
            hint=f"name one with --registry-client-cert {registry}=CERTIFICATE,KEY",
        )
    if failure := _proxy_failure(registry, url, error):
        return failure
    ended = isinstance(failed, ssl.SSLEOFError)
    hint = f"if it wants a certificate of its clients: --registry-client-cert {registry}=CERTIFICATE,KEY"
    return RegistryError(f"{registry}: no answer from {_place(url)}: {_reason(error)}", hint=hint if ended else "")


def _proxy_failure(registry: str, url: str, error: BaseException) -> RegistryError | None:
    """The error for a proxy of the environment that does not serve; None when nothing is wrong with it.

    The classes that `requests` has for that are known by their names: it is not imported for this.
    """
    kinds = {type(error).__name__, *(type(cause).__name__ for cause in error.args)}
    what = f"{registry}: the proxy before {_place(url)}"
    if kinds & {"InvalidProxyURL", "InvalidSchema", "ProxySchemeUnknown"}:
        return _lasting(f"{what} has an address that cannot be used", hint=_PROXIES)
    if "ProxyError" not in kinds:
        return None
    refused = _TUNNEL_REFUSED.search(str(_find(error, OSError)))
    if refused and refused[1].startswith("4"):
        return _lasting(f"{what} refuses: {refused[1]}", hint=_PROXIES)
    return RegistryError(f"{what} fails: {refused[1] if refused else _reason(error)}", hint=_PROXIES)


def no_address(registry: str) -> RegistryError:
    """The error for a redirect, an upload or a token service at what is no address; it is not quoted."""
    return _lasting(f"{registry} leads to an address that is none", hint="check the host and port of its name")


def _lasting(message: str, *, hint: str) -> RegistryError:
    """An error that no new try mends."""
    failure = RegistryError(message, hint=hint)
    failure.retryable = False
    failure.exit_code = 1
    return failure


def is_immutable_tag(error: RegistryError) -> bool:
    """True when a registry would not move a tag: the words of Google's, Amazon's (both of them) and Harbor."""
    return _IMMUTABLE.search(error.message) is not None


def hung_up(error: BaseException) -> bool:
    """True when a connection that stood was closed by the other side before it answered."""
    cause = _find(error, ConnectionError)
    return cause is not None and not isinstance(cause, ConnectionRefusedError)


def parse_retry_after(value: str) -> float | None:
    """Seconds of a Retry-After header, which may be a number or an HTTP date; None when absent or malformed."""
    value = value.strip()
    if not value:
        return None
    if (seconds := whole_number(value)) is not None:
        return float(seconds)
    from email.utils import parsedate_to_datetime  # hardly any answer has such a date

    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


def _explanation(body: bytes, secrets: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The codes and the quotable text of an error body (distribution spec, "Error Codes"), or of any other."""
    text = body.decode("utf-8", "replace")
    codes: tuple[str, ...] = ()
    try:
        faults = json.loads(text)["errors"]
        codes = tuple(str(fault["code"]) for fault in faults)
        text = "; ".join(_fault(fault) for fault in faults)
    except (ValueError, KeyError, TypeError, RecursionError):
        if text.lstrip().startswith("<"):  # the HTML page of some proxy says nothing the status does not
            text = ""
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    text = _CONTROL.sub(" ", text).strip()
    return codes, text if len(text) <= _QUOTED else text[:_QUOTED] + "…"


def _fault(fault: Mapping[str, Any]) -> str:
    message = str(fault.get("message") or "")
    return f"{fault['code']}: {message}" if message else str(fault["code"])


def _auth_hint(registry: str, identity: str) -> str:
    if identity == ANONYMOUS:
        where = "or put credentials into $DOCKER_CONFIG/config.json"
        return f"log in (`executor login {registry}`), {where}; the repository may also not exist"
    return "check the password or token, and that this user may access the repository"


def _place(url: str) -> str:
    return f"{urlsplit(url).scheme}://{host_of(url)}"


def host_of(url: str) -> str:
    """The host of an address, with its port if that is named."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _reason(error: BaseException) -> str:
    cause = _find(error, OSError)
    if isinstance(cause, TimeoutError) or type(error).__name__ in ("ConnectTimeout", "ReadTimeout"):
        return "it took too long"
    if isinstance(cause, ProtocolError):
        return str(cause)
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed ({cause.reason or 'the other side ended it'})"
    if cause is not None and cause.strerror:
        return cause.strerror
    if cause is not None and cause.errno:
        return os.strerror(cause.errno)
    return "the connection was closed"


_E = TypeVar("_E", bound=BaseException)


def _find(error: BaseException, kind: type[_E]) -> _E | None:
    """The innermost exception of `kind` among the causes of `error`, which libraries wrap in several ways."""
    found = None
    queue: list[Any] = [error]
    seen: set[int] = set()
    while queue:
        current = queue.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, kind) and not type(current).__module__.startswith("requests"):
            found = current
        queue += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
    return found
