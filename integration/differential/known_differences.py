"""Where we differ from the reference builder on purpose, each with its reason.

A row holds while it is needed: a case that no longer shows the difference fails, and the row has to go.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

import pytest

from integration.support.compare import Difference


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """`case`, `subject` (a driver) and `place` are shell patterns; a place is spelled as in compare.Difference."""

    case: str
    subject: str
    place: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether the difference is the one described here."""
        return fnmatch.fnmatchcase(difference.place, self.place)


_OLD_CHMOD = "BuildKit of docker 20.10: --chmod leaves out created parents and the setuid, setgid and sticky bits"
_OLD_XATTRS = "docker 20.10 loses the xattrs of the context"
_OLD_FIFO = "BuildKit of docker 20.10 leaves out named pipes"
_NO_EMPTY_LAYER = "a step that changes nothing makes no layer, BuildKit pushes an empty one: docs/decisions/0003"
_OLD_STUBS = "BuildKit of docker 20.10 leaves empty mount points in the layer; later ones remove them, as we do"
_STUBS = (
    ("bind-context", "/m"),
    ("bind-file", "/etc/new"),
    ("bind-image", "/m"),
    ("bind-leaves-nothing", "/x*"),
    ("bind-makes-parents", "/x/y/z"),
    ("bind-named-stage", "/m"),
    ("bind-relative", "/w/in*"),
    ("bind-through-link", "/real/m"),
    ("bind-variable", "/m*"),
    ("bind-writable", "/m"),
    ("cache", "/[cd]*"),
    ("cache-from", "/c"),
    ("cache-owner", "/c"),
    ("cache-with-own-below", "/opt/c"),
    ("in-history", "/m"),
    ("nested", "/t"),
    ("tmpfs", "/t"),
)
_COPY_UP = (
    "the reference runs on overlayfs, which breaks hard links that span layers; a plain directory keeps them"
)

KNOWN_DIFFERENCES: tuple[KnownDifference, ...] = (
    KnownDifference("copy-from-image", "*", "tree:/srv/pipe:exists", _OLD_FIFO),
    KnownDifference("copy-from-stage-links", "*", "tree:/t/pipe:exists", _OLD_FIFO),
    KnownDifference("copy-from-stage-wildcard-and-owner", "*", "tree:/moded:mode", _OLD_CHMOD),
    KnownDifference("copy-chmod-octal", "*", "tree:*:mode", _OLD_CHMOD),
    KnownDifference("copy-chmod-and-chown", "*", "tree:/home/app/d*:mode", _OLD_CHMOD),
    KnownDifference("add-url-with-chmod", "*", "tree:/d*:mode", "docker 20.10 ignores --chmod for downloads"),
    KnownDifference(
        "add-archive-with-chown", "*", "tree:/o/*:[ug]id", "docker 20.10 ignores --chown for archives"
    ),
    KnownDifference("copy-capability", "*", "tree:*/program:xattrs", _OLD_XATTRS),
    KnownDifference("copy-user-xattr", "*", "tree:/program:xattrs", _OLD_XATTRS),
    KnownDifference("run-capability-on-file", "*", "tree:/moved:xattrs", _OLD_XATTRS),
    KnownDifference("run-nothing-changes", "*", "image:history", _NO_EMPTY_LAYER),
    KnownDifference("run-creates-and-deletes-at-once", "*", "image:history", _NO_EMPTY_LAYER),
    KnownDifference("run-works-on-copied-script", "*", "image:history", _NO_EMPTY_LAYER),
    KnownDifference("copy-into-workdir-of-user", "*", "image:history", _NO_EMPTY_LAYER),
    KnownDifference("config-workdir-existing", "*", "image:history", _NO_EMPTY_LAYER),
    KnownDifference("config-workdir-through-link", "*", "image:history", _NO_EMPTY_LAYER),
    KnownDifference("config-history-shape", "*", "image:history", _NO_EMPTY_LAYER),
    *(KnownDifference(f"mount-{case}", "*", f"tree:{path}:exists", _OLD_STUBS) for case, path in _STUBS),
    KnownDifference("run-link-to-file-of-base", "chroot", "tree:/opt/*", _COPY_UP),
    KnownDifference("run-links", "chroot", "tree:/*:names", _COPY_UP),
    KnownDifference("run-writes-through-hard-link", "chroot", "tree:/[xyz]:*", _COPY_UP),
)

TALLY = pytest.StashKey[list[tuple[str, str, bool, tuple[KnownDifference, ...]]]]()
"""What was compared, for the summary: case, subject, whether it differs beyond what is known, what is known."""


def known_for(case: str, subject: str) -> tuple[KnownDifference, ...]:
    """The rows that concern a case built by a subject."""
    return tuple(
        known
        for known in KNOWN_DIFFERENCES
        if fnmatch.fnmatchcase(case, known.case) and fnmatch.fnmatchcase(subject, known.subject)
    )
