"""What is mounted where, as this process sees it (proc(5), /proc/self/mountinfo)."""

from __future__ import annotations

import functools
import os

from executor.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mount: its number, where, the file system's kind (`ext4`, `overlay`, …), and the mount's own options."""

    number: int
    point: str
    kind: str
    options: tuple[str, ...]

    @property
    def executable(self) -> bool:
        """Whether programs may be executed from it."""
        return "noexec" not in self.options


def mounts(text: str | None = None) -> tuple[Mount, ...]:
    """The mounts in the order they were made; a later one covers an earlier one. `text` is mountinfo's."""
    if text is None:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    return _parsed(text)


@functools.lru_cache(maxsize=1)
def _parsed(text: str) -> tuple[Mount, ...]:
    """A command in place is a reason to ask half a dozen times, and the answer hardly ever changes."""
    return tuple(map(_mount, text.splitlines()))


def _mount(line: str) -> Mount:
    fields, _, rest = line.partition(" - ")
    number, _, _, _, point, options = fields.split()[:6]
    return Mount(
        number=int(number), point=_unescaped(point), kind=rest.split()[0], options=tuple(options.split(","))
    )


def mount_of(path: str, text: str | None = None) -> Mount | None:
    """The mount that `path` lies on; None where `/` itself is no mount point (in a chroot)."""
    path = os.path.realpath(path)
    found: Mount | None = None
    for mount in mounts(text):
        if _contains(mount.point, path) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _contains(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(f"{point}/")


def _unescaped(path: str) -> str:
    """Blanks, tabs, line ends and backslashes are octal numbers there."""
    for character in " \t\n\\":
        path = path.replace(f"\\{ord(character):03o}", character)
    return path
