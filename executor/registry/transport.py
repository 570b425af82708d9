"""HTTP for one registry, and for whatever its answers lead to: token services, blob stores behind redirects.

Everything reached on behalf of a registry shares its TLS settings. Environment proxies are honoured; netrc and
cookies are not, and Authorization never leaves the registry's host.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from executor import hangup
from executor.errors import RegistryError
from executor.registry.hosts import Purpose, allows_http, api_host, verifies_tls
from executor.registry.http import Body, Connections, Response
from executor.registry.reasons import connection_failure, hung_up, no_address
from executor.registry.tls import speaks_tls, tls_context
from executor.spec import RegistryOptions

if TYPE_CHECKING:
    import ssl

    from executor.registry.proxied import ProxiedConnections

USER_AGENT = "krunner"
READ_SECONDS = 120.0
COMMIT_SECONDS = 600.0
"""How long an answer to an upload may take: registries move blobs about before they answer."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[!-~]*)?")
"""An address that can be sent as it stands."""


class Transport:
    """Sends requests for one registry, which has failed when it is silent for `silence` seconds.

    Without one they are READ_SECONDS, and COMMIT_SECONDS while it takes content. Safe for several threads.
    """

    def __init__(
        self, registry: str, options: RegistryOptions, purpose: Purpose, *, silence: float | None = None
    ) -> None:
        self.registry = registry
        self._options = options
        self._silence = silence
        self._verify = verifies_tls(registry, options, purpose)
        self._http_allowed = allows_http(registry, options, purpose)
        self._lock = threading.Lock()
        self._base_url = ""
        self._direct = Connections(self._tls_context)
        self._proxied: ProxiedConnections | None = None
        self._proxies_are_named = _names_proxies(os.environ)

    @property
    def base_url(self) -> str:
        """`https://host`, or `http://host` where that is allowed and the host does not speak TLS."""
        with self._lock:
            if self._base_url:
                return self._base_url
            host = api_host(self.registry)
            tls = speaks_tls(host) if self._http_allowed else True
            url = f"{'https' if tls else 'http'}://{host}"
            if tls is not None:  # else the next try may find out
                self._base_url = url
            return url

    def address(self, url: str, *, base: str = "") -> str:
        """The absolute form of what a registry calls `url`, at `base` if it says so there.

        Raises RegistryError for what is no address.
        """
        try:
            absolute = urljoin(base or self.base_url, url)
            if urlsplit(absolute).port == 0:
                raise no_address(self.registry)
        except ValueError:
            raise no_address(self.registry) from None
        return absolute

    def resolve(self, url: str) -> str:
        """The `address` of a path or Location; one that falls back to http on an https registry is mended."""
        absolute = self.address(url)
        parts, base = urlsplit(absolute), urlsplit(self.base_url)
        same_host = parts.hostname == base.hostname and parts.port in (None, 80, base.port)
        if parts.scheme == "http" and base.scheme == "https" and same_host:
            return parts._replace(scheme="https", netloc=base.netloc).geturl()
        return absolute

    def may_carry_secrets(self, url: str) -> bool:
        """True when credentials may go to `url`: over TLS, or when the registry itself is reached without."""
        return urlsplit(url).scheme == "https" or urlsplit(self.base_url).scheme == "http"

    def is_registry(self, url: str) -> bool:
        """True when `url` lies on the registry's own scheme, host and port."""
        return _origin(url) == _origin(self.base_url)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Body = None,
        authorization: str = "",
        silence: float | None = None,
    ) -> Response:
        """Send one request and follow its redirects; the body of the answer is unread.

        `authorization` goes to the registry's own host only. `silence` counts instead of the usual patience.
        Raises RegistryError when there is no answer.
        """
        url = self.resolve(url)
        for _ in range(_MOST_REDIRECTS):
            sent = dict(headers)
            if authorization and self.is_registry(url):
                sent["Authorization"] = authorization
            response = self.send_once(method, url, headers=sent, body=body, silence=silence)
            target = _redirect_target(response, method)
            if not target:
                return response
            response.close()
            url = self.resolve(self.address(target, base=url))
        raise RegistryError(f"{self.registry} redirects in a circle", status=508)

    def send_once(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Body = None,
        silence: float | None = None,
    ) -> Response:
        """Send one request with exactly these headers; redirects are returned as they are.

        A connection kept from earlier may have died unnoticed: when the other side hangs up on a request without a
        streamed body, it is sent once more on a new connection.
        """
        try:
            return self._request(method, url, headers, body, silence)
        except OSError as error:
            if not hung_up(error) or not (body is None or isinstance(body, bytes)):
                raise connection_failure(self.registry, url, error) from error
        try:
            return self._request(method, url, headers, body, silence)
        except OSError as error:
            raise connection_failure(self.registry, url, error) from error

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            self._direct.close()
            if self._proxied:
                self._proxied.close()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, silence: float | None
    ) -> Response:
        hangup.check()
        usual = COMMIT_SECONDS if method in ("PUT", "PATCH") else READ_SECONDS
        return self._connections(url).request(
            method,
            url,
            headers={**_HEADERS, **headers},
            body=body or None,
            silence=silence or self._silence or usual,
        )

    def _connections(self, url: str) -> Connections | ProxiedConnections:
        if _PLAIN_URL.fullmatch(url) and not self._proxies_are_named:
            return self._direct
        from executor.registry.proxied import ProxiedConnections

        with self._lock:
            if self._proxied is None:
                self._proxied = ProxiedConnections(self._tls_context, verify=self._verify)
            return self._proxied

    def _tls_context(self) -> ssl.SSLContext:
        return tls_context(self.registry, self._options, verify=self._verify)


def _names_proxies(environ: Mapping[str, str]) -> bool:
    names = [name.lower() for name, value in environ.items() if value]
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def _redirect_target(response: Response, method: str) -> str:
    location = response.headers.get("Location", "")
    if response.status_code not in _REDIRECTS or not location:
        return ""
    keeps_method = method in ("GET", "HEAD") or response.status_code in (307, 308)
    return location if keeps_method else ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port
