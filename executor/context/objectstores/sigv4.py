"""AWS Signature Version 4 for a GET of an S3 object.

Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)", authorization header.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from executor.dataclass import dataclass

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentials:
    """Keys, and where they are from, in words for messages. `session_token` is '' for keys that last."""

    access_key: str
    secret_key: str
    session_token: str = ""
    origin: str = ""

    def __repr__(self) -> str:
        return f"AwsCredentials(origin={self.origin!r})"


def signed_headers(
    url: str, credentials: AwsCredentials, region: str, now: datetime, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The headers of a GET of `url`, which has no query and a path that is percent-encoded already.

    `now` is in UTC, `more` are further headers that are sent and signed, with names in lower case.
    """
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp, **(more or {})}
    if credentials.session_token:
        sent["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
    request = f"GET\n{parts.path}\n\n{lines}\n{names}\n{_EMPTY}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, to_sign).hex()
    identity = f"{credentials.access_key}/{scope}"
    sent["Authorization"] = f"{_ALGORITHM} Credential={identity},SignedHeaders={names},Signature={signature}"
    del sent["host"]  # the client's own
    return sent


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
