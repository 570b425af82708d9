"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from typing import BinaryIO

_UNFINISHED = re.compile(r"\.\d+-[0-9a-f]{8}")
"""What follows the name of a file that is being written: the process, and something that is chance."""


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes otherwise."""
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def remove_unfinished(folder: str, names: Collection[str]) -> None:
    """Remove what processes left that were killed while they wrote files of `names` in `folder`.

    To be called while no other process can be writing them. Raises OSError.
    """
    for name in os.listdir(folder):
        whole, dot, end = name.rpartition(".")
        if whole in names and _UNFINISHED.fullmatch(dot + end):
            os.unlink(os.path.join(folder, name))


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that a reader sees all of the old or all of the new. Readable as the umask says."""
    with replacing(os.fspath(path)) as file:
        file.write(content)
