"""The `cache` of an entry as CacheOptions. COPY is cached unless it says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executor.sizes import parse_size
from executor.spec import CacheOptions
from runner.buildsfile.retrying import seconds


def cache_options(value: bool | Mapping[str, Any]) -> CacheOptions:
    """The layer cache that `value`, whose shape is right and whose folders are whole paths, asks for."""
    if isinstance(value, bool):
        return CacheOptions(enabled=value, copy_layers=value)
    return CacheOptions(
        enabled=True,
        repositories=tuple(value.get("repositories", ())),
        sources=tuple(value.get("from", ())),
        ttl=seconds(value.get("ttl", "14d")),
        size=parse_size(str(value["size"])) if "size" in value else None,
        copy_layers=value.get("copy", True),
        run_layers=value.get("run", True),
        push=value.get("push", True),
    )
