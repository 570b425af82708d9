"""The processes of a container as this machine sees them, so that they can be signalled in no time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from integration.support.container import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhabitant:
    """A process; ids are this machine's, `line` its command line."""

    pid: int
    parent: int
    line: str


def signalled(pid: int, number: int) -> bool:
    """Send a signal to a process that was looked up before. Whether it was still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class Inhabitants:
    """Those of one container: of its namespace of process ids."""

    def __init__(self, container: Container) -> None:
        words = ("inspect", "--format={{.State.Pid}}", container.name)
        self._namespace = os.readlink(f"/proc/{container.docker.run(*words).strip()}/ns/pid")

    def of(self, *parts: str) -> list[Inhabitant]:
        """The living whose command line has one of `parts`, in the order in which they were started."""
        found = [each for _, each in sorted(self._all(), key=lambda pair: pair[0])]
        return [each for each in found if any(part in each.line for part in parts)]

    def _all(self) -> Iterator[tuple[int, Inhabitant]]:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(folder / "ns/pid") != self._namespace:
                    continue
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                line = (folder / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
                if fields[0] not in "ZX":
                    yield int(fields[19]), Inhabitant(pid=int(folder.name), parent=int(fields[1]), line=line)
