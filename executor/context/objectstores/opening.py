"""The way to an object of a store, by the kind of its URL."""

from __future__ import annotations

from collections.abc import Mapping

from executor.context.http import Source
from executor.context.objectstores.address import is_azure_url


def object_source(url: str, environment: Mapping[str, str]) -> Source:
    """Where the object `url` (one that `is_object_url` knows) is had from, and as whom by what `environment` says.

    Nothing is asked before the download asks the source. Raises ContextError for a URL without a bucket.
    """
    if is_azure_url(url):
        from executor.context.objectstores.azure import AzureBlob

        return AzureBlob(url, environment)
    if url.startswith("gs://"):
        from executor.context.objectstores.gcs import GoogleObject

        return GoogleObject(url, environment)
    from executor.context.objectstores.s3 import S3Object

    return S3Object(url, environment)
