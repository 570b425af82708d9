"""The `cache` of an entry as CacheOptions. COPY is cached unless it says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from executor.spec import CacheOptions

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FOLDERS = ("oci:", "dir:")


def cache_options(value: bool | Mapping[str, Any], folder: str) -> CacheOptions:
    """The layer cache that `value`, whose shape is right, asks for; relative folders start at `folder`."""
    if isinstance(value, bool):
        return CacheOptions(enabled=value, copy_layers=value)
    ttl = str(value.get("ttl", "14d"))
    return CacheOptions(
        enabled=True,
        repositories=tuple(_place(text, folder) for text in value.get("repositories", ())),
        sources=tuple(_place(text, folder) for text in value.get("from", ())),
        ttl=float(int(ttl[:-1]) * _SECONDS[ttl[-1]]),
        copy_layers=value.get("copy", True),
        run_layers=value.get("run", True),
        push=value.get("push", True),
    )


def _place(text: str, folder: str) -> str:
    kind, path = text[:4], text[4:]
    return kind + os.path.normpath(os.path.join(folder, path)) if kind in _FOLDERS and path else text
