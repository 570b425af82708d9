"""The `requests` adapters of a registry. Apart from `transport` because a subclass needs `requests` at import."""

from __future__ import annotations

import ssl
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

_CONNECTIONS = 16


class PlainAdapter(HTTPAdapter):
    """HTTP without TLS, with as many kept connections as threads use at once."""

    def __init__(self) -> None:
        super().__init__(pool_maxsize=_CONNECTIONS)


class TlsAdapter(HTTPAdapter):
    """HTTPS whose trust and client certificate come from one context and nowhere else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        if context.verify_mode == ssl.CERT_NONE:  # the user asked for it; once a request is too often to say so
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        super().__init__(pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool of direct connections with our context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pool of connections through `proxy` with our context."""
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection alone: requests would add its own bundle of authorities to our context."""
