"""Which URLs name an object in a store, and what in them is the bucket and what the object."""

from __future__ import annotations

from urllib.parse import urlsplit

from executor.errors import ContextError

_SCHEMES = ("s3", "gs")
_AZURE_HOSTS = (".blob.core.windows.net", ".blob.core.chinacloudapi.cn", ".blob.core.usgovcloudapi.net")
_DEFAULT_OBJECT = "context.tar.gz"


def is_object_url(url: str) -> bool:
    """True for `s3://…`, `gs://…` and the http(s) URL of a blob at one of Azure's hosts. Behaviour: kaniko's."""
    return url.partition("://")[0] in _SCHEMES or is_azure_url(url)


def is_azure_url(url: str) -> bool:
    """True for `http(s)://ACCOUNT.blob.core.windows.net/…` and the same in Azure's other clouds."""
    if not url.startswith(("http://", "https://")):
        return False
    host = url.split("/")[2].rpartition("@")[2].partition(":")[0]
    return host.lower().endswith(_AZURE_HOSTS)


def bucket_and_object(url: str) -> tuple[str, str]:
    """The two parts of `s3://BUCKET/OBJECT`; without an object it is `context.tar.gz`. Behaviour: kaniko's.

    Raises ContextError without a bucket.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, name = rest.partition("/")
    if not bucket or "@" in bucket:
        raise ContextError(
            "the context's URL has no bucket", hint=f"write {scheme}://BUCKET/PATH/TO/context.tar.gz"
        )
    return bucket, name or _DEFAULT_OBJECT


def account_of(url: str) -> str:
    """The storage account of a blob's URL: the first part of the host."""
    return (urlsplit(url).hostname or "").partition(".")[0]
