"""What the kernel lets this process do, by its own account: read for explanations, never to decide.

Whether something works is found out by trying it; a capability can be there and the call still be refused.
"""

from __future__ import annotations

import os
from pathlib import Path

from executor.dataclass import dataclass

# By number, as in linux/capability.h.
_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    *("CHECKPOINT_RESTORE",),
)
# To unpack files of any owner, mode and kind, and to run commands as any user.
NEEDED_BY_IMAGES = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_SETFCAP"),
    *("CAP_SETGID", "CAP_SETUID"),
)
_UNCONFINED = "unconfined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """The effective user id and capabilities, and what may stand in their way.

    `apparmor` is the profile that confines this process, '' for none. `most_user_namespaces` is the sysctl
    user.max_user_namespaces (None: not readable); `user_namespaces_off` names a sysctl that forbids them to
    processes without privileges, '' when none does; `chrooted` tells that `/` is not the top of a mount.
    """

    uid: int
    capabilities: frozenset[str] = frozenset()
    seccomp: bool = False
    no_new_privileges: bool = False
    apparmor: str = ""
    most_user_namespaces: int | None = None
    user_namespaces_off: str = ""
    chrooted: bool = False

    def lacks(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the capabilities `names` that are not held."""
        return tuple(name for name in names if name not in self.capabilities)


def read_privileges(root: str = "/") -> Privileges:
    """What /proc says of this process; `root` is for tests."""
    status = dict(line.partition(":")[::2] for line in _read(root, "proc/self/status").splitlines())
    most = _read(root, "proc/sys/user/max_user_namespaces")
    points = {line.split()[4] for line in _read(root, "proc/self/mountinfo").splitlines()}
    return Privileges(
        uid=os.geteuid(),
        capabilities=capability_names(int(status.get("CapEff", "0").strip() or "0", 16)),
        seccomp=status.get("Seccomp", "0").strip() not in ("0", ""),
        no_new_privileges=status.get("NoNewPrivs", "0").strip() == "1",
        apparmor=_apparmor(root),
        most_user_namespaces=int(most) if most.isdecimal() else None,
        user_namespaces_off=_user_namespaces_off(root),
        chrooted="/" not in points,
    )


def capability_names(mask: int) -> frozenset[str]:
    """The names of the capabilities whose bits are set in `mask`."""
    return frozenset(f"CAP_{name}" for number, name in enumerate(_CAPABILITIES) if mask >> number & 1)


def _apparmor(root: str) -> str:
    for path in ("proc/self/attr/apparmor/current", "proc/self/attr/current"):
        profile = _read(root, path).rstrip("\x00").partition(" (")[0]
        # with SELinux the second file holds a context, user:role:type:level
        if profile and profile != _UNCONFINED and profile.count(":") < 3:
            return profile
    return ""


def _user_namespaces_off(root: str) -> str:
    if _read(root, "proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "kernel.unprivileged_userns_clone is 0"
    if _read(root, "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "kernel.apparmor_restrict_unprivileged_userns is 1"
    return ""


def _read(root: str, path: str) -> str:
    try:
        return Path(root, path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
