"""A container's own /etc/hosts and its like, which a command in place can write to: what it writes does not stay.

The engine mounts them into the container, so that no tree can take their place. A file says how they were, for the
process that has to put them right after a SIGKILL.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from executor.errors import UnfitError
from executor.replacing import replacing
from executor.rootfs.kernel.mountinfo import mounts

_FILES = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})


class LentFiles:
    """FOLDER/files.json says how the files were. Lend them and take them back."""

    def __init__(self, folder: str) -> None:
        self._record = os.path.join(folder, "files.json")
        self._lent: dict[str, str] | None = None

    def lend(self) -> None:
        """Write down what is in those that are mounted, and remember it: a command may remove the record."""
        contents = {}
        for path in sorted(_FILES.intersection(mount.point for mount in mounts())):
            with suppress(OSError):
                contents[path] = _content(path).decode("latin-1")
        self._lent = contents
        with replacing(self._record) as file:
            file.write(json.dumps(contents).encode())

    def take_back(self) -> None:
        """Write into them what was in them. Raises UnfitError naming the one for which that is not possible."""
        contents = self._lent if self._lent is not None else self._recorded()
        for path, text in contents.items():
            content = text.encode("latin-1")
            try:
                if _content(path) != content:
                    with open(path, "r+b") as file:
                        file.write(content)
                        file.truncate()
            except OSError as error:
                raise UnfitError(
                    f"{path} of this container could not be brought back: {error.strerror}",
                    hint="start a new container",
                ) from error
        self._lent = None
        with suppress(FileNotFoundError):
            os.unlink(self._record)

    def _recorded(self) -> dict[str, str]:
        try:
            with open(self._record, encoding="utf-8") as file:
                contents: dict[str, str] = json.load(file)
        except FileNotFoundError:
            return {}
        return contents


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
