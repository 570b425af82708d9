"""HTTP by `requests`: through the proxies of the environment, and for addresses that have to be made fit to send.

Apart from `transport` because the adapters need `requests` at import, and few builds need it.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from executor.registry.http import CONNECT_SECONDS, KEPT_CONNECTIONS, Body


class PlainAdapter(HTTPAdapter):
    """HTTP without TLS, with as many kept connections as threads use at once."""

    def __init__(self) -> None:
        super().__init__(pool_maxsize=KEPT_CONNECTIONS)


class TlsAdapter(HTTPAdapter):
    """HTTPS whose trust and client certificate come from one context and nowhere else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        if context.verify_mode == ssl.CERT_NONE:  # the user asked for it; once a request is too often to say so
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        super().__init__(pool_maxsize=KEPT_CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool of direct connections with our context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pool of connections through `proxy` with our context."""
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection alone: requests would add its own bundle of authorities to our context."""


class _Session(requests.Session):
    """Looks at no redirect, not even to say where it leads: that raises for what is no address."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: it is `transport` that follows them."""
        del resp
        return None


class ProxiedConnections:
    """As `http.Connections`, through the environment's proxies. Without `verify` any certificate will do."""

    def __init__(self, make_context: Callable[[], ssl.SSLContext], *, verify: bool) -> None:
        self._make_context = make_context
        self._verify = verify
        self._lock = threading.Lock()
        self._sessions: dict[str, requests.Session] = {}

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: Body, silence: float
    ) -> ProxiedResponse:
        """See `http.Connections.request`."""
        response = self._session(urlsplit(url).scheme).request(
            method,
            url,
            headers=dict(headers),
            data=body,
            proxies=requests.utils.get_environ_proxies(url, no_proxy=None),
            timeout=(CONNECT_SECONDS, silence),
            verify=self._verify,
            stream=True,
            allow_redirects=False,
        )
        return ProxiedResponse(response)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _session(self, scheme: str) -> requests.Session:
        with self._lock:
            if scheme not in self._sessions:
                self._sessions[scheme] = self._new_session(scheme)
            return self._sessions[scheme]

    def _new_session(self, scheme: str) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        session.headers.clear()
        if scheme == "http":
            session.mount("http://", PlainAdapter())
        else:
            session.mount("https://", TlsAdapter(self._make_context()))
        return session


class ProxiedResponse:
    """See `http.Response`."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.url = response.url or ""
        self.status_code = response.status_code
        self.headers = response.headers

    def read(self, size: int, /) -> bytes:
        """See `http.Response.read`."""
        return self._came(self._response.raw.read, size)

    def read_some(self, size: int, /) -> bytes:
        """See `http.Response.read_some`."""
        return self._came(self._response.raw.read1, size)

    @staticmethod
    def _came(read: Callable[..., bytes], size: int) -> bytes:
        try:
            return read(size, decode_content=False)
        except HTTPError as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        """See `http.Response.close`."""
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
