"""Asking for credentials: token services, metadata servers. Answers are small and come soon, or not at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from json import loads
from typing import TYPE_CHECKING, Any

from executor.context.http import TransferError, certificate_authorities, reason_of, transfer_faults
from executor.dataclass import dataclass
from executor.errors import ContextError

if TYPE_CHECKING:
    import requests

_LARGEST = 1 << 18
_CHUNK = 4096
_NEARBY = (2.0, 5.0)
_ELSEWHERE = (10.0, 20.0)
_LONGEST = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request for credentials, with a form or a JSON document.

    `what` is how messages call who is asked; `nearby` is a server of this machine or pod: it is asked without a
    proxy and answers within seconds.
    """

    what: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None
    document: Mapping[str, Any] | None = None
    nearby: bool = False


def ask(question: Question, *, hint: str = "") -> str:
    """The answer's text. Raises ContextError; TransferError where trying again may help. Never tells the answer.

    Bounded: 30 seconds and 256 KiB. Redirects are not followed: what is sent is for this server alone.
    """
    import requests

    with requests.Session() as session:
        session.trust_env = not question.nearby
        try:
            with session.request(
                question.method,
                question.url,
                headers=question.headers,
                data=question.form,
                json=question.document,
                auth=_unchanged,
                timeout=_NEARBY if question.nearby else _ELSEWHERE,
                allow_redirects=False,
                stream=True,
                verify=certificate_authorities(),
            ) as response:
                if response.status_code != 200:
                    raise _refused(question, response, hint)
                return _text(question, response)
        except transfer_faults() as error:
            failed = TransferError(f"{question.what} cannot be asked: {reason_of(error)}", hint=hint)
            failed.retryable = not question.nearby
            raise failed from error


def parsed(question: Question, text: str) -> Mapping[str, Any]:
    """The answer's JSON object. Raises ContextError."""
    try:
        answer = loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ContextError(f"{question.what} did not answer with a JSON object")
    return answer


def field_of(what: str, answer: Mapping[str, Any], name: str) -> str:
    """The text `name` of what `what` said. Raises ContextError without it."""
    value = answer.get(name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ContextError(f"{what} has no {name}")
    return value


def content(path: str, what: str) -> str:
    """The text of the file `path` that `what` names. Raises ContextError when it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(_LARGEST)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ContextError(f"cannot read {path} ({what}): {reason}") from error


def _refused(question: Question, response: requests.Response, hint: str) -> TransferError:
    status = response.status_code
    error = TransferError(f"{question.what} answered {status} {response.reason}", hint=hint)
    error.retryable = status in (408, 429) or status >= 500
    return error


def _text(question: Question, response: requests.Response) -> str:
    deadline = time.monotonic() + _LONGEST
    body = b""
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LARGEST or time.monotonic() > deadline:
            raise ContextError(f"{question.what} answered with too much, or too slowly")
    return body.decode("utf-8", "replace")


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In place of what ~/.netrc may say."""
    return request
