"""kaniko's --bucket, which names a context in Google Cloud Storage without its scheme."""

from __future__ import annotations

from executor.errors import UsageError

_DEFAULT = "/workspace/"


def context_of_bucket(bucket: str, context: str) -> str:
    """The URL of the context `bucket`: `BUCKET`, `BUCKET/PATH` or a URL, which is taken as it is.

    `context` is the value of --context. Raises UsageError when it names another place; kaniko, whose
    behaviour this is otherwise, then takes one of the two.
    """
    if context not in ("", _DEFAULT):
        raise UsageError(
            f"--bucket={bucket} and --context both name the context",
            hint="write --context=gs://BUCKET/PATH and leave out --bucket",
        )
    return bucket if "://" in bucket else f"gs://{bucket}"
