"""Files from HTTP servers: for contexts that are archives, and for ADD."""

from __future__ import annotations

import email.utils
import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from executor.dataclass import dataclass
from executor.errors import ContextError
from executor.events import RetryScheduled, Sink

if TYPE_CHECKING:
    import requests
    from tenacity import RetryCallState

_TRIES = 4
_LONGEST_WAIT = 10.0
_CONNECT_AND_READ = (30.0, 60.0)
_CHUNK = 256 * 1024
_UNNAMED = "__unnamed__"
_HASHES = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that was fetched. `url` is where from, without credentials; `mtime` seconds, 0 when nobody told."""

    path: str
    url: str
    mtime: int


class _TransferError(ContextError):
    """A download that failed; trying again may help when `retryable`."""


def is_http_url(text: str) -> bool:
    """True for `http://…` and `https://…`."""
    return text.startswith(("http://", "https://"))


def file_name(url: str) -> str:
    """The name that ADD gives to what `url` points at: the last part of its path. Behaviour: BuildKit's."""
    name = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    return name if name not in ("", ".", "..") and "\0" not in name else _UNNAMED


def download(url: str, directory: str, sink: Sink, *, checksum: str = "") -> Download:
    """Fetch `url` into a new file of `directory`, mode 0600, its time that of Last-Modified, else the epoch.

    No answer, 408, 429 and 5xx are tried again. Raises ContextError; also when the content is not what `checksum`
    (`sha256:…`) promises. Messages hold no credentials.
    """
    import tenacity

    expected = parse_checksum(checksum) if checksum else ("sha256", "")
    shown = without_credentials(url)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_random_exponential(max=_LONGEST_WAIT),
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, _TransferError) and error.retryable),
        before_sleep=_reporter(shown, sink),
        reraise=True,
    )
    path = os.path.join(directory, "download")
    mtime, digest = retrying(_fetch, url, shown, path, expected[0])
    if expected[1] and digest != expected[1]:
        os.unlink(path)
        raise ContextError(f"{shown} has the digest {expected[0]}:{digest}, not {checksum}")
    os.utime(path, (mtime, mtime))
    return Download(path=path, url=shown, mtime=mtime)


def content_of(url: str, directory: str, sink: Sink) -> str:
    """What stands for the content of `url` now: its strong ETag or Last-Modified, else the digest of a download.

    A download goes to a new file of `directory`. Raises ContextError as `download` does.
    """
    validator = _validator(url)
    if validator:
        return validator
    with open(download(url, directory, sink).path, "rb", buffering=0) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _validator(url: str) -> str:
    """The validator that the server tells without the content, '' when it tells none or does not answer."""
    import requests

    try:
        with requests.head(
            url, allow_redirects=True, timeout=_CONNECT_AND_READ, verify=_authorities()
        ) as response:
            if not 200 <= response.status_code < 300:
                return ""
            etag = response.headers.get("ETag", "")
            modified = response.headers.get("Last-Modified", "")
    except requests.RequestException:
        return ""
    if etag and not etag.startswith("W/"):
        return f"etag:{etag}"
    return f"modified:{modified}" if modified else ""


def without_credentials(url: str) -> str:
    """`url` without user, password and query values, fit for messages."""
    parts = urlsplit(url)
    query = "…" if parts.query else ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def _fetch(url: str, shown: str, path: str, algorithm: str) -> tuple[int, str]:
    """Download once. Returns the time in seconds and the digest in hex."""
    import requests

    try:
        with requests.get(
            url, stream=True, timeout=_CONNECT_AND_READ, headers={"Accept-Encoding": "gzip"}, verify=_authorities()
        ) as response:
            if not 200 <= response.status_code < 300:
                raise _refused(response, shown)
            return _mtime(response.headers.get("Last-Modified", "")), _save(response, path, algorithm)
    except requests.RequestException as error:
        raise _unreachable(error, shown) from error


def _save(response: requests.Response, path: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        for chunk in response.iter_content(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _refused(response: requests.Response, shown: str) -> _TransferError:
    status = response.status_code
    error = _TransferError(f"{shown}: the server answered {status} {response.reason}")
    error.retryable = status in (408, 429) or (status >= 500 and status not in (501, 505))
    return error


def _unreachable(error: Exception, shown: str) -> _TransferError:
    import requests

    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = getattr(reason, "strerror", None) or type(reason).__name__
    found = _TransferError(f"{shown} cannot be downloaded: {text}")
    found.retryable = not isinstance(
        error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema | requests.exceptions.SSLError
    )
    return found


def _mtime(text: str) -> int:
    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp())
    except ValueError:
        return 0


def parse_checksum(text: str) -> tuple[str, str]:
    """Algorithm and hexadecimal digits of a digest. Raises ContextError when it is none."""
    algorithm, _, value = text.partition(":")
    if len(value) != _HASHES.get(algorithm) or any(c not in "0123456789abcdef" for c in value):
        raise ContextError(f"malformed checksum {text!r}", hint="write sha256: and 64 hexadecimal digits")
    return algorithm, value


def _authorities() -> bool | str:
    return os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def _reporter(shown: str, sink: Sink) -> Callable[[RetryCallState], None]:
    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        sink(
            RetryScheduled(
                action=f"download {shown}", error=str(error), attempt=state.attempt_number, wait=round(wait, 3)
            )
        )

    return report
