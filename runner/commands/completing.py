"""What the shell offers where an image is to be named: the names in the files of the command line so far."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click

from executor.errors import Error

_NAME = re.compile(r"""^\s*(?:-\s*)?(?:\{\s*)?name:\s*["']?([A-Za-z0-9][A-Za-z0-9._-]*)""", re.MULTILINE)


def complete_images(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names that begin with `incomplete`; none when no file can be read. Never raises."""
    named = (context.params.get("file"), *(context.params.get("more_files") or ()))
    # While the last option lacks its value, click has read no argument, and leaves the words as they are.
    files = [path for path in (*named, *context.args) if path and os.path.isfile(path)]
    return [name for name in dict.fromkeys(_names(files)) if name.startswith(incomplete)]


def _names(files: Sequence[str]) -> Iterator[str]:
    """As a run would read them; of files that have faults, what looks like a name."""
    from runner.buildsfile import config
    from runner.model import Overrides

    if not files:
        return
    try:
        yield from (image.name for image in config.load(files, os.environ, Overrides()).images)
    except (Error, OSError):
        for path in files:
            with suppress(OSError):
                yield from _NAME.findall(Path(path).read_text("utf-8", "replace"))
