"""Files from HTTP servers: for contexts that are archives, and for ADD; and from stores that are asked by HTTP."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from executor import hangup
from executor.dataclass import dataclass
from executor.errors import ContextError, without_passwords
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


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its URL, and the headers that tell who asks. None of both is fit for messages."""

    url: str
    headers: Mapping[str, str]


class Source(Protocol):
    """What a file is downloaded from. `shown` is how messages call it, `redirects` whether those are followed."""

    redirects: bool
    shown: str

    def ask(self) -> Asked:
        """The next request. May raise any Error; one that is `retryable` counts as a failed request."""

    def refused(self, response: requests.Response) -> TransferError:
        """What to raise for an answer other than 2xx."""


class TransferError(ContextError):
    """A download that failed; trying again may help when `retryable`."""


class _Plain:
    """A URL that is asked for as it is."""

    redirects = True

    def __init__(self, url: str) -> None:
        self._url = url
        self.shown = without_credentials(url)

    def ask(self) -> Asked:
        return Asked(self._url, {})

    def refused(self, response: requests.Response) -> TransferError:
        return refusal(response, self.shown)


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
    (`sha256:…`) promises. Raises StoppedError once this process is being stopped. Messages hold no credentials.
    """
    expected = parse_checksum(checksum) if checksum else ("sha256", "")
    found, digest = _download(_Plain(url), directory, sink, expected[0])
    if expected[1] and digest != expected[1]:
        os.unlink(found.path)
        raise ContextError(f"{found.url} has the digest {expected[0]}:{digest}, not {checksum}")
    return found


def download_from(source: Source, directory: str, sink: Sink) -> Download:
    """The same from another `source`; raises what it raises as well."""
    return _download(source, directory, sink, "sha256")[0]


def _download(source: Source, directory: str, sink: Sink, algorithm: str) -> tuple[Download, str]:
    """Download with retries. Returns the digest in hex too."""
    import tenacity

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_random_exponential(max=_LONGEST_WAIT),
        retry=tenacity.retry_if_exception(_is_worth_another_try),
        before_sleep=_reporter(source.shown, sink),
        sleep=hangup.pause,
        reraise=True,
    )
    path = os.path.join(directory, "download")
    mtime, digest = retrying(_fetch, source, path, algorithm)
    os.utime(path, (mtime, mtime))
    return Download(path=path, url=source.shown, mtime=mtime), digest


def _is_worth_another_try(error: BaseException) -> bool:
    return isinstance(error, TransferError) and error.retryable and not hangup.is_over()


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

    hangup.check()
    try:
        with requests.head(
            url, allow_redirects=True, timeout=_CONNECT_AND_READ, verify=certificate_authorities()
        ) as response:
            if not 200 <= response.status_code < 300:
                return ""
            etag = response.headers.get("ETag", "")
            modified = response.headers.get("Last-Modified", "")
    except transfer_faults():
        return ""
    if etag and not etag.startswith("W/"):
        return f"etag:{etag}"
    return f"modified:{modified}" if modified else ""


def without_credentials(url: str) -> str:
    """`url` without user, password and query values, fit for messages; also of what is no proper URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return without_passwords(url).partition("?")[0]
    query = "…" if parts.query else ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def _fetch(source: Source, path: str, algorithm: str) -> tuple[int, str]:
    """Download once. Returns the time in seconds and the digest in hex."""
    import requests

    hangup.check()
    asked = source.ask()
    try:
        with requests.get(
            asked.url,
            stream=True,
            timeout=_CONNECT_AND_READ,
            headers={"Accept-Encoding": "gzip", **asked.headers},
            auth=_as_it_is if "Authorization" in asked.headers else None,
            allow_redirects=source.redirects,
            verify=certificate_authorities(),
        ) as response:
            if not 200 <= response.status_code < 300:
                raise source.refused(response)
            return _mtime(response.headers.get("Last-Modified", "")), _save(response, path, algorithm)
    except transfer_faults() as error:
        raise _unreachable(error, source.shown) from error


def transfer_faults() -> tuple[type[Exception], ...]:
    """What an HTTP request raises that fails: requests lets some of what lies below it through."""
    import requests
    import urllib3

    return requests.RequestException, urllib3.exceptions.HTTPError


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In place of what ~/.netrc may say."""
    return request


def _save(response: requests.Response, path: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        for chunk in response.iter_content(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def refusal(response: requests.Response, shown: str, reason: str = "") -> TransferError:
    """The error for a status other than 2xx; `reason` is the server's own, where it is known."""
    status = response.status_code
    error = TransferError(f"{shown}: the server answered {status} {reason or response.reason}")
    error.retryable = status in (408, 429) or (status >= 500 and status not in (501, 505))
    return error


def _unreachable(error: Exception, shown: str) -> TransferError:
    import requests
    import urllib3

    malformed = isinstance(error, requests.exceptions.InvalidURL | urllib3.exceptions.LocationValueError)
    reason = "the URL is malformed" if malformed else reason_of(error)
    found = TransferError(f"{shown} cannot be downloaded: {reason}")
    found.retryable = not malformed and not isinstance(error, requests.exceptions.SSLError)
    return found


def reason_of(error: Exception) -> str:
    """Why there is no answer, in few words and without the URL."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    return getattr(reason, "strerror", None) or type(reason).__name__


def _mtime(text: str) -> int:
    from email.utils import parsedate_to_datetime  # few builds download

    try:
        return int(parsedate_to_datetime(text).timestamp())
    except ValueError:
        return 0


def parse_checksum(text: str) -> tuple[str, str]:
    """Algorithm and hexadecimal digits of a digest. Raises ContextError when it is none."""
    algorithm, _, value = text.partition(":")
    if len(value) != _HASHES.get(algorithm) or any(c not in "0123456789abcdef" for c in value):
        raise ContextError(f"malformed checksum {text!r}", hint="write sha256: and 64 hexadecimal digits")
    return algorithm, value


def certificate_authorities() -> bool | str:
    """What vouches for servers: the file that the environment names, else True for the usual ones."""
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
