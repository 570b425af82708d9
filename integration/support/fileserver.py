"""A small HTTP server on loopback for the files of a folder."""

from __future__ import annotations

import contextlib
import functools
import http.server
from collections.abc import Iterator
from pathlib import Path

from tests.support.loopback import serving


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve `folder` and yield `127.0.0.1:port`. Files are sent with their time as Last-Modified."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with serving(handler) as host:
        yield host
