"""Why the kernel refused, in words: from the step that failed, its error, and what is known of this process."""

from __future__ import annotations

import errno

from executor.rootfs.kernel.mountinfo import Mount
from executor.rootfs.kernel.privileges import Privileges

_NO_UPPER = frozenset({"overlay", "fuse.fuse-overlayfs", "nfs", "nfs4", "cifs", "9p", "virtiofs", "fuse", "vfat"})


def user_namespace_refused(error: OSError, privileges: Privileges) -> str:
    """Why unshare(2) gave no user namespace (user_namespaces(7))."""
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return f"the limit of user namespaces is reached (user.max_user_namespaces is {_limit(privileges)})"
    if error.errno in (errno.EINVAL, errno.ENOSYS):
        return "this kernel has no user namespaces"
    if error.errno == errno.EPERM and privileges.seccomp:
        return "the seccomp profile forbids user namespaces"
    if privileges.user_namespaces_off:
        return f"user namespaces are off: {privileges.user_namespaces_off}"
    if error.errno == errno.EPERM and privileges.chrooted:
        return "a process in a chroot may make no user namespace"
    return f"user namespaces are refused{_security_module(error, privileges)}"


def user_mounts_refused(error: OSError, privileges: Privileges) -> str:
    """Why nothing may be mounted in a user namespace that could be made."""
    because = privileges.user_namespaces_off
    return f"a user namespace may not mount{f': {because}' if because else _security_module(error, privileges)}"


def mounts_refused(error: OSError, privileges: Privileges, user_namespace: str) -> str:
    """Why there is no mount namespace; `user_namespace` says why none was made by way of a user namespace."""
    if error.errno == errno.ENOSPC:
        return "the limit of mount namespaces is reached (user.max_mnt_namespaces)"
    if "CAP_SYS_ADMIN" not in privileges.capabilities:
        return f"CAP_SYS_ADMIN is missing, and {user_namespace}"
    if error.errno == errno.EPERM and privileges.seccomp:
        return "the seccomp profile forbids mounts, though CAP_SYS_ADMIN is there"
    return f"mounts are refused{_security_module(error, privileges)}"


def overlay_refused(error: OSError, store: str, mount: Mount | None) -> str:
    """Why overlayfs would not mount with its upper directory in the folder `store`, which lies on `mount`."""
    kind = mount.kind if mount else ""
    if error.errno == errno.ENODEV:
        return "this kernel has no overlayfs"
    if error.errno in (errno.EINVAL, errno.EOPNOTSUPP) and kind in _NO_UPPER:
        own = "the container's own overlayfs" if kind == "overlay" and mount and mount.point == "/" else kind
        return f"{store} is on {own}, which cannot hold an upper directory: mount a volume there"
    if error.errno == errno.EPERM:
        return "this kernel lets no user namespace mount overlayfs"
    return f"overlayfs refuses {store}{f' on {kind}' if kind else ''}: {error.strerror}"


def _limit(privileges: Privileges) -> str:
    return "unknown" if privileges.most_user_namespaces is None else str(privileges.most_user_namespaces)


def _security_module(error: OSError, privileges: Privileges) -> str:
    if privileges.apparmor:
        return f" by AppArmor (profile {privileges.apparmor})"
    if error.errno == errno.EACCES:
        return " by a security module"
    return f": {error.strerror}"
