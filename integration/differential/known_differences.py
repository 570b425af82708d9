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
    """Shell patterns and a reason.

    `subject` is a driver, `reference` is `docker` (Debian's) or `buildkit` (today's, recorded); a place is spelled
    as in compare.Difference.
    """

    case: str
    subject: str
    place: str
    reason: str
    reference: str = "*"

    def covers(self, difference: Difference) -> bool:
        """Whether the difference is the one described here."""
        return fnmatch.fnmatchcase(difference.place, self.place)


_OLD_CHMOD = "BuildKit of docker 20.10: --chmod leaves out created parents and the setuid, setgid and sticky bits"
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
_COPIED = "in-place: nothing may be mounted, what is bound is copied, and may be written to (which is thrown away)"
_LINK_TO_MEMORY = (
    "in-place: nothing may be mounted, a secret's file is a link to one in memory, which root may write to"
)
_LINK_TO_SOCKET = "in-place: nothing may be mounted, an agent's socket is a link to one in memory"
_FEWER_CAPABILITIES = "in-place: commands lack CAP_AUDIT_WRITE, so that they cannot look into the builder"
_NO_NAMESPACE = "in-place: commands have no namespaces of their own; what needs one is refused by name"
_OWN_HOSTS = "in-place: /etc/hosts is the container's own, and can be written to where the container's user can"
_NO_MEMORY = "in-place: nothing may be mounted, a tmpfs is a directory, and one with a size is refused by name"
_IN_PLACE = (
    ("mount-bind-workdir-itself", "tree:/ro:exists", _COPIED),
    ("mounts-bind-is-read-only", "tree:/ro:exists", _COPIED),
    ("mounts-bind-is-read-only", "image:history", _COPIED),
    ("mounts-cache-read-only", "tree:/ro:exists", _COPIED),
    ("mounts-cache-read-only", "image:history", _COPIED),
    ("mounts-secret-file", "tree:/s:*", _LINK_TO_MEMORY),
    ("mounts-secret-owner-and-mode", "tree:/s:*", _LINK_TO_MEMORY),
    ("mounts-secret-is-read-only", "tree:/w:exists", _LINK_TO_MEMORY),
    ("mounts-ssh-target", "tree:/s:*", _LINK_TO_SOCKET),
    ("run-capabilities", "tree:/caps:*", _FEWER_CAPABILITIES),
    ("run-capabilities-of-user", "tree:/tmp/caps:*", _FEWER_CAPABILITIES),
    *((case, "fails", _NO_NAMESPACE) for case in ("mount-network-none", "mount-in-history", "read-run-killed")),
    ("mounts-network-none-no-interface", "fails", _NO_NAMESPACE),
    ("run-kill-term-to-itself", "fails", _NO_NAMESPACE),
    ("run-is-process-1", "tree:*", _NO_NAMESPACE),
    ("run-appends-to-hosts", "tree:/s:*", _OWN_HOSTS),
    ("mounts-tmpfs-mode", "tree:/s:*", _NO_MEMORY),
    ("mounts-tmpfs-size", "fails", _NO_MEMORY),
)
_MOVED = (
    "the reference runs on overlayfs, where folders of the base are moved by copying, and links get a new time"
)
_SAME_AGAIN = "a step that leaves every file as it was makes no layer, whatever it did meanwhile"

_UNCHANGED = (
    *("run-nothing-changes", "run-creates-and-deletes-at-once", "run-works-on-copied-script"),
    *(
        "copy-into-workdir-of-user",
        "config-workdir-existing",
        "config-workdir-through-link",
        "config-history-shape",
    ),
    *("here-run-empty", "link-workdir-of-user", "source-wildcard-matches-nothing", "mounts-keeps-mode-of-target"),
    *("mounts-cache-kept-in-build", "mounts-cache-id-variable", "mounts-tmpfs-leaves-nothing"),
    *("mounts-secret-env-not-in-next", "mounts-secret-same-twice", "mounts-secret-required"),
    *(
        "mounts-secret-leaves-nothing",
        "mounts-ssh-not-in-next",
        "mounts-ssh-required",
    ),
    *("mounts-network-default", "conf-workdir-twice-relative", "read-instruction-alone", "read-run-hash"),
    "read-run-killed",
    *("copy-everything-over-workdir-of-user", "copy-wildcard-of-nothing-beside-a-copy"),
    *("run-exit-code-over-255", "run-exec-form-no-shell", "run-export-does-not-last", "run-writes-resolv-conf"),
    "conf-workdir-keeps-owner-of-existing",
)
_FOLDER_AS_BASE = (
    "BuildKit notes the layer of files that stand in place of an image as the last one; we as the first"
)
_PARTLY_SENT = (
    "BuildKit looks only at what it was sent, and fails where nothing of a folder fits a pattern; we copy nothing"
)
_BACKSLASH = "BuildKit takes a backslash in the name of a source for an escape; we find the file"
_LEADS_OUT = "BuildKit keeps a name that leads out of an archive inside of it; we refuse it"
_NETWORK = "BuildKit has to be allowed the host's network, which is every command's here"
_LATER_NAME = "BuildKit copies a file that gets a later name; we keep the link"
_FOLDER_ALONE = "BuildKit cannot write an image that begins with files in place of an image; we can"


def _docker(case: str, place: str, reason: str) -> KnownDifference:
    return KnownDifference(case, "*", place, reason, "docker")


def _buildkit(case: str, place: str, reason: str, subject: str = "*") -> KnownDifference:
    return KnownDifference(case, subject, place, reason, "buildkit")


KNOWN_DIFFERENCES: tuple[KnownDifference, ...] = (
    _docker("copy-from-image", "tree:/srv/pipe:exists", _OLD_FIFO),
    _docker("copy-from-stage-links", "tree:/t/pipe:exists", _OLD_FIFO),
    _docker("copy-from-stage-wildcard-and-owner", "tree:/moded:mode", _OLD_CHMOD),
    _docker("copy-chmod-octal", "tree:*:mode", _OLD_CHMOD),
    _docker("copy-chmod-and-chown", "tree:/home/app/d*:mode", _OLD_CHMOD),
    _docker("add-url-with-chmod", "tree:/d*:mode", "docker 20.10 ignores --chmod for downloads"),
    _docker("add-archive-with-chown", "tree:/o/*:[ug]id", "docker 20.10 ignores --chown for archives"),
    *(_docker(f"mount-{case}", f"tree:{path}:exists", _OLD_STUBS) for case, path in _STUBS),
    *(KnownDifference(case, "*", "image:history", _NO_EMPTY_LAYER) for case in _UNCHANGED),
    KnownDifference("mounts-secret-is-read-only", "[!i]*", "image:history", _NO_EMPTY_LAYER),
    *(KnownDifference(case, "in-place", place, reason) for case, place, reason in _IN_PLACE),
    KnownDifference("run-link-to-file-of-base", "[ci]*", "tree:/opt/*", _COPY_UP),
    KnownDifference("run-links", "[ci]*", "tree:/*:names", _COPY_UP),
    KnownDifference("run-hard-links-over-steps", "[ci]*", "tree:/[bc]:*", _COPY_UP),
    KnownDifference("run-moves-tree-away-and-back", "[ci]*", "tree:/opt/link:mtime", _MOVED),
    KnownDifference("run-swaps-two-folders", "[ci]*", "tree:/home/link:mtime", _MOVED),
    KnownDifference("run-replaces-tree-by-its-copy", "[ci]*", "image:history", _SAME_AGAIN),
    KnownDifference("run-writes-through-hard-link", "[ci]*", "tree:/[xyz]:*", _COPY_UP),
    _buildkit("run-links", "tree:/*:names", _LATER_NAME, "overlay"),
    _buildkit("copy-same-file-to-two-names", "tree:/*:names", _LATER_NAME),
    _buildkit("from-stage-name-in-capitals", "fails", "BuildKit does not find a stage by FROM in capitals; we do"),
    _buildkit("from-target-by-number", "fails", "kaniko's --target takes the number of a stage"),
    _buildkit(
        "args-source-date-epoch", "tree:/s:mtime", "the build argument sets the times of files here at once"
    ),
    *(
        _buildkit(case, "image:history", _FOLDER_AS_BASE)
        for case in ("context-folder-as-base", "context-git-as-base")
    ),
    _buildkit("context-folder-in-place-of-stage-as-base", "fails", _FOLDER_ALONE),
    _buildkit("context-folder-in-place-of-target", "fails", _FOLDER_ALONE),
    _buildkit("copy-brackets-of-a-page", "fails", _PARTLY_SENT),
    _buildkit("copy-wildcard-of-nothing-in-a-folder", "fails", _PARTLY_SENT),
    _buildkit("copy-backslash-in-name", "fails", _BACKSLASH),
    _buildkit("add-archive-with-names-that-lead-out", "fails", _LEADS_OUT),
    _buildkit("mounts-network-host", "fails", _NETWORK),
    _buildkit("read-escape-twice", "fails:line", "BuildKit marks the first of the two lines, we the second"),
    _buildkit("read-long-line", "fails", "there is no bound on the length of a line"),
)

TALLY = pytest.StashKey[list[tuple[str, str, bool, tuple[KnownDifference, ...]]]]()
"""What was compared, for the summary: case, builders, whether it differs beyond what is known, what is known."""


def known_for(case: str, subject: str, reference: str) -> tuple[KnownDifference, ...]:
    """The rows that concern a case built by a subject and compared with a reference."""
    return tuple(
        known
        for known in KNOWN_DIFFERENCES
        if fnmatch.fnmatchcase(case, known.case)
        and fnmatch.fnmatchcase(subject, known.subject)
        and fnmatch.fnmatchcase(reference, known.reference)
    )
