"""Tokens for Google Cloud by the application default credentials, from where Google's own libraries look.

GOOGLE_APPLICATION_CREDENTIALS                          a service account's key, a user's login, a federation
~/.config/gcloud/application_default_credentials.json   the same
the metadata server, GCE_METADATA_HOST                  machines of Google, GKE with workload identity
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from executor.context.objectstores.rs256 import rs256
from executor.context.objectstores.tokens import Question, ask, content, field_of, parsed
from executor.dataclass import dataclass
from executor.errors import ContextError, NotSupportedError

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_TOKEN_SERVICE = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_METADATA = "metadata.google.internal"
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path
_LIFETIME = 3600
_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_HINT = f"set {_VARIABLE} to a service account's key file, or give the pod a workload identity"


@dataclass(frozen=True, slots=True)
class GoogleToken:
    """An access token, and whose it is, in words for messages."""

    text: str
    origin: str

    def __repr__(self) -> str:
        return f"GoogleToken(origin={self.origin!r})"


def find_token(environment: Mapping[str, str]) -> GoogleToken:
    """An access token that may read objects.

    Raises ContextError when no place has credentials or they are refused, NotSupportedError for kinds of
    credentials that are not known here.
    """
    path = environment.get(_VARIABLE, "")
    if not path:
        usual = os.path.join(
            environment.get("HOME") or "/root", ".config/gcloud/application_default_credentials.json"
        )
        path = usual if os.path.exists(usual) else ""
    return _from_file(path) if path else _from_metadata(environment)


def _from_file(path: str) -> GoogleToken:
    what = f"the credentials file {path}"
    try:
        file = json.loads(content(path, _VARIABLE))
    except (ValueError, RecursionError):
        file = None
    if not isinstance(file, dict):
        raise ContextError(f"{what} is not JSON as Google makes it")
    kind = file.get("type")
    if kind == "service_account":
        return _of_service_account(what, file)
    if kind == "authorized_user":
        form = {name: field_of(what, file, name) for name in ("client_id", "client_secret", "refresh_token")}
        form["grant_type"] = "refresh_token"
        return _exchanged(file, form, f"the user of {path}")
    if kind == "external_account":
        from executor.context.objectstores.googlefederation import federated_token

        return GoogleToken(*federated_token(what, file, _SCOPE))
    raise NotSupportedError(
        f"{what} is of the kind {kind!r}",
        hint="service_account, authorized_user and external_account are supported",
    )


def _of_service_account(what: str, file: Mapping[str, Any]) -> GoogleToken:
    name = field_of(what, file, "client_email")
    now = int(time.time())
    audience = file.get("token_uri") or _TOKEN_SERVICE
    claims = {"iss": name, "scope": _SCOPE, "aud": audience, "iat": now, "exp": now + _LIFETIME}
    head = {"alg": "RS256", "typ": "JWT", **({"kid": file["private_key_id"]} if "private_key_id" in file else {})}
    signed = f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps(claims).encode())}"
    key = file.get("private_key")
    signature = rs256(key if isinstance(key, str) else "", signed.encode(), what)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": f"{signed}.{_base64(signature)}",
    }
    return _exchanged(file, form, name)


def _exchanged(file: Mapping[str, Any], form: Mapping[str, str], origin: str) -> GoogleToken:
    url = file.get("token_uri") or _TOKEN_SERVICE
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ContextError("the credentials file's token_uri is not a URL")
    question = Question(what=f"Google's token service, asked as {origin},", url=url, method="POST", form=form)
    answer = parsed(question, ask(question, hint="the key may be deleted or expired; or set this machine's clock"))
    return GoogleToken(field_of("the answer of Google's token service", answer, "access_token"), origin)


def _from_metadata(environment: Mapping[str, str]) -> GoogleToken:
    host = environment.get("GCE_METADATA_HOST") or _METADATA
    question = Question(
        what=f"there are no credentials for Google Cloud in the environment, and the metadata server {host}",
        url=f"http://{host}{_TOKEN_PATH}",
        headers={"Metadata-Flavor": "Google"},
        nearby=True,
    )
    answer = parsed(question, ask(question, hint=_HINT))
    token = field_of("the metadata server's answer", answer, "access_token")
    return GoogleToken(token, "the service account of this machine or pod")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
