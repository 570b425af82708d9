"""Objects of S3 and of stores that speak its protocol."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from executor.context.http import Asked, TransferError, refusal
from executor.context.objectstores.address import bucket_and_object
from executor.context.objectstores.awscredentials import find_credentials, find_region
from executor.context.objectstores.sigv4 import AwsCredentials, signed_headers
from executor.errors import ContextError

if TYPE_CHECKING:
    import requests

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_MISSING = {
    "NoSuchKey": "there is no such object in the bucket",
    "NoSuchBucket": "there is no such bucket",
}
_HINTS = {
    "AccessDenied": "they need s3:GetObject for the object; without s3:ListBucket a missing object looks the same",
    "ExpiredToken": "get new temporary credentials",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
}


class S3Object:
    """A `Source` for `s3://BUCKET/OBJECT`.

    Variables: S3_ENDPOINT and S3_FORCE_PATH_STYLE as for kaniko, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, those of
    regions and credentials. A bucket in another region than thought is asked again there. Raises ContextError
    for a malformed bucket or endpoint.
    """

    redirects = False

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self._bucket, self._name = bucket_and_object(url)
        self.shown = f"s3://{self._bucket}/{self._name}"
        self._environment = environment
        if not _BUCKET.fullmatch(self._bucket):
            raise ContextError(f"{self.shown}: {self._bucket!r} cannot be a bucket's name")
        self._endpoint = _endpoint(environment)
        self._region = find_region(environment)
        self._credentials: AwsCredentials | None = None

    def ask(self) -> Asked:
        """Where to send the next request, and with what headers. Raises ContextError without credentials."""
        if self._credentials is None:
            self._credentials = find_credentials(self._environment)
        url = self._url()
        return Asked(url, signed_headers(url, self._credentials, self._region, datetime.now(UTC)))

    def refused(self, response: requests.Response) -> TransferError:
        """What the store's answer means for the user. Takes over the region that it names."""
        region = response.headers.get("x-amz-bucket-region", "")
        if response.status_code in (301, 307, 400) and _REGION.fullmatch(region) and region != self._region:
            error = TransferError(f"{self.shown}: the bucket is in the region {region}, not {self._region}")
            error.retryable = True
            self._region = region
            return error
        found = _CODE.search(response.raw.read(4096, decode_content=True) or b"")
        code = found.group(1).decode() if found else ""
        if code in _MISSING:
            return TransferError(f"{self.shown}: {_MISSING[code]}")
        error = refusal(response, self.shown, code)
        if 400 <= response.status_code < 500 and self._credentials is not None:
            error.message += f", asked with the credentials of {self._credentials.origin}"
            error.hint = _HINTS.get(code, "")
        return error

    def _url(self) -> str:
        path = f"/{quote(self._name, safe='/-._~')}"
        scheme, host = self._endpoint or ("https", f"s3.{self._region}.amazonaws.com")
        if not self._endpoint and self._region.startswith("cn-"):
            host += ".cn"
        if self._environment.get("S3_FORCE_PATH_STYLE", "").lower() in ("true", "1") or _needs_path_style(
            self._bucket, host
        ):
            return f"{scheme}://{host}/{self._bucket}{path}"
        return f"{scheme}://{self._bucket}.{host}{path}"


def _endpoint(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Scheme and host of the endpoint that the environment names, the host as the request's header will have it.

    The header is signed: an HTTP client sends no port that is the usual one, and the name in small letters.
    """
    for name in ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if value := environment.get(name, ""):
            parts = urlsplit(value if "://" in value else f"https://{value}")
            if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
                raise ContextError(f"{name} is not the URL of a server", hint="write https://HOST[:PORT]")
            return parts.scheme, parts.netloc.lower().removesuffix(_USUAL_PORTS[parts.scheme])
    return None


def _needs_path_style(bucket: str, host: str) -> bool:
    """A bucket's name before the host must be one label for TLS, and an address has no names before it."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." in bucket or "_" in bucket or name == "localhost"
    return True
