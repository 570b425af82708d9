"""Blobs of Azure Storage, by an account key, by what the URL brings along (SAS), or public.

Source: Azure Storage REST reference, "Authorize with Shared Key", version 2009-09-19 and later.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from executor.context.http import Asked, TransferError, refusal, without_credentials
from executor.context.objectstores.address import account_of
from executor.errors import ContextError

if TYPE_CHECKING:
    import requests

_KEY = "AZURE_STORAGE_ACCESS_KEY"
_VERSION = "2021-12-02"
_ERROR_HEADER = "x-ms-error-code"


class AzureBlob:
    """A `Source` for `https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB`.

    With AZURE_STORAGE_ACCESS_KEY, as for kaniko, requests are signed; a URL with a query (a shared access
    signature) and one without a key are asked for as they are. Raises ContextError for a key that is none.
    """

    redirects = False

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self._url = url
        self.shown = without_credentials(url)
        self._key = b""
        if not urlsplit(url).query and (text := environment.get(_KEY, "").strip()):
            try:
                self._key = base64.b64decode(text, validate=True)
            except binascii.Error:
                raise ContextError(f"{_KEY} is not the base64 text of a key") from None

    def ask(self) -> Asked:
        """Where to send the next request, and with what headers."""
        from requests.utils import requote_uri

        headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": _VERSION}
        if self._key:
            account = account_of(self._url)
            path = urlsplit(requote_uri(self._url)).path
            headers["Authorization"] = shared_key(account, self._key, path, headers)
        return Asked(self._url, headers)

    def refused(self, response: requests.Response) -> TransferError:
        """What the store's answer means for the user."""
        status, code = response.status_code, response.headers.get(_ERROR_HEADER, "")
        if code in ("BlobNotFound", "ContainerNotFound"):
            return TransferError(f"{self.shown}: there is no such {code.removesuffix('NotFound').lower()}")
        error = refusal(response, self.shown, code if code.isalnum() else "")
        if status in (401, 403, 404, 409):
            error.hint = (
                f"{_KEY} has to be a key of the account {account_of(self._url)}"
                if self._key
                else f"set {_KEY}, or give the URL a shared access signature that is valid"
            )
        return error


def shared_key(account: str, key: bytes, path: str, headers: Mapping[str, str]) -> str:
    """The Authorization of a GET without query. `path` is the URL's, percent-encoded; `headers` are all x-ms-…"""
    empty = "\n" * 12  # the headers from Content-Encoding to Range, none of which is sent
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    to_sign = f"GET{empty}{lines}/{account}{path}"
    signature = base64.b64encode(hmac.digest(key, to_sign.encode(), "sha256")).decode()
    return f"SharedKey {account}:{signature}"
