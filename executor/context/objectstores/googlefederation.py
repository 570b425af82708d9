"""Google's workload identity federation: a token of another issuer (GitLab, GitHub, Kubernetes) for one of Google.

A credentials file of the type `external_account` says where the other token is, a file or a URL, who changes it
(Google's STS, RFC 8693), and perhaps the service account whose token that gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from executor.context.objectstores.tokens import Question, ask, content, field_of, parsed
from executor.errors import ContextError, NotSupportedError

_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
_ANY_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TRUST = "the pool's provider has to trust the token of the credentials file's credential_source"


def federated_token(what: str, file: Mapping[str, Any], scope: str) -> tuple[str, str]:
    """The access token for `scope` that the credentials `file`, called `what` in messages, gives; and whose it is.

    Raises ContextError, NotSupportedError for tokens of other sources.
    """
    impersonated = file.get("service_account_impersonation_url")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": _TOKEN_TYPE,
        "audience": field_of(what, file, "audience"),
        "scope": _ANY_SCOPE if impersonated else scope,
        "subject_token_type": field_of(what, file, "subject_token_type"),
        "subject_token": _subject(what, file.get("credential_source")),
    }
    url = _url(what, "token_url", file.get("token_url"))
    question = Question(what="Google's security token service", url=url, method="POST", form=form)
    token = field_of(question.what, parsed(question, ask(question, hint=_TRUST)), "access_token")
    if not impersonated:
        return token, "the federated identity"
    url = _url(what, "service_account_impersonation_url", impersonated)
    account = url.rpartition("/")[2].partition(":")[0]
    question = Question(
        what=f"Google, asked for a token of {account},",
        url=url,
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
        document={"scope": [scope], "lifetime": "3600s"},
    )
    hint = f"the federated identity needs the role Workload Identity User on {account}"
    return field_of(question.what, parsed(question, ask(question, hint=hint)), "accessToken"), account


def _subject(what: str, source: Any) -> str:
    """The other issuer's token."""
    source = source if isinstance(source, dict) else {}
    if isinstance(source.get("file"), str):
        name, text = source["file"], content(source["file"], f"the token that {what} names")
    elif isinstance(source.get("url"), str) and "environment_id" not in source:
        name = "the credential_source"
        question = Question(
            what=f"{name} of {what}", url=_url(what, "url", source["url"]), headers=_headers(source.get("headers"))
        )
        text = ask(question)
    else:
        raise NotSupportedError(
            f"{what} has its token from neither a file nor a URL",
            hint="a token file serves, or fetch the archive before: "
            "`gcloud storage cat gs://BUCKET/PATH | executor --context=tar://stdin`",
        )
    form = source.get("format")
    if isinstance(form, dict) and form.get("type") == "json":
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ContextError(f"{name} is not a JSON object")
        return field_of(name, answer, str(form.get("subject_token_field_name")))
    return field_of(name, {"token": text.strip()}, "token")


def _headers(given: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}


def _url(what: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        raise ContextError(f"the {name} of {what} is not a URL")
    return value
