"""Objects of Google Cloud Storage, by its JSON API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from executor.context.http import Asked, TransferError, refusal
from executor.context.objectstores.address import bucket_and_object
from executor.context.objectstores.googlecredentials import GoogleToken, find_token

if TYPE_CHECKING:
    import requests

_HOST = "https://storage.googleapis.com"


class GoogleObject:
    """A `Source` for `gs://BUCKET/OBJECT`, with the application default credentials.

    STORAGE_EMULATOR_HOST names an emulator, as for Google's own libraries; it is asked without credentials.
    """

    redirects = False

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        bucket, name = bucket_and_object(url)
        self.shown = f"gs://{bucket}/{name}"
        self._environment = environment
        self._emulator = environment.get("STORAGE_EMULATOR_HOST", "")
        host = self._emulator or _HOST
        host = host if "://" in host else f"http://{host}"
        self._url = f"{host.rstrip('/')}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}?alt=media"
        self._token: GoogleToken | None = None

    def ask(self) -> Asked:
        """Where to send the next request, and with what headers. Raises ContextError without credentials."""
        if self._emulator:
            return Asked(self._url, {})
        if self._token is None:
            self._token = find_token(self._environment)
        return Asked(self._url, {"Authorization": f"Bearer {self._token.text}"})

    def refused(self, response: requests.Response) -> TransferError:
        """What the store's answer means for the user."""
        if response.status_code == 404:
            return TransferError(f"{self.shown}: there is no such object or bucket")
        error = refusal(response, self.shown)
        if response.status_code in (401, 403) and self._token is not None:
            error.message += f", asked as {self._token.origin}"
            error.hint = "it needs the permission storage.objects.get, as of the role Storage Object Viewer"
        return error
