"""The short files for scripts: which images are where. One line a fact, nothing to parse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from runner.report.record import RunRecord

_GITLAB_BYTES = 5120
_GITLAB_VARIABLES = 20
"""What an administrator has not changed. On gitlab.com the smallest plan has 50."""
_GITLAB_COM_VARIABLES = 50


def digests(record: RunRecord) -> str:
    """`repository:tag@sha256:…` for each destination that has its image, a line each."""
    return "".join(f"{name}\n" for image in record.images.values() for name in image.pushed)


def dotenv(record: RunRecord) -> str:
    """`NAME_DIGEST` of each built image and `NAME_IMAGE`, its first destination by digest, of each pushed one.

    For GitLab's `artifacts:reports:dotenv`, which takes neither comments, empty lines nor quotes. Names that would
    be one variable are left out: see `ambiguous`.
    """
    doubtful = ambiguous(tuple(record.images))
    lines = []
    for image in record.images.values():
        if image.name in doubtful or not image.digest:
            continue
        if image.pushed:
            lines.append(f"{variable(image.name)}_IMAGE={image.pushed[0]}\n")
        lines.append(f"{variable(image.name)}_DIGEST={image.digest}\n")
    return "".join(lines)


def too_large_for_gitlab(record: RunRecord, environment: Mapping[str, str]) -> str:
    """Why GitLab would refuse `dotenv` as a whole, by its usual limits; '' if not, or outside of its jobs."""
    if not environment.get("GITLAB_CI"):
        return ""
    text = dotenv(record)
    is_public = environment.get("CI_SERVER_HOST") == "gitlab.com"
    most = _GITLAB_COM_VARIABLES if is_public else _GITLAB_VARIABLES
    for amount, limit, unit in ((len(text), _GITLAB_BYTES, "bytes"), (text.count("\n"), most, "variables")):
        if amount > limit:
            return f"images.env has {amount} {unit}, and GitLab takes {limit} of a dotenv report"
    return ""


def variable(name: str) -> str:
    """An image's name as the first part of a variable's: `web-app` is `WEB_APP`, `2048` is `_2048`."""
    upper = re.sub(r"[^A-Za-z0-9]", "_", name).upper()
    return f"_{upper}" if upper[0].isdigit() else upper


def ambiguous(names: tuple[str, ...]) -> frozenset[str]:
    """The names that share their variable with another, such as `a-b` and `a.b`."""
    count = Counter(map(variable, names))
    return frozenset(name for name in names if count[variable(name)] > 1)
