"""What to change so that builds work here, or work faster: from findings alone."""

from __future__ import annotations

from collections.abc import Iterator

from executor.diagnosis import Advice, Diagnosis

_LITTLE_SPACE = 2_000_000_000
_FEW_INODES = 100_000
_GOAL = "To get overlay, the fastest driver"


def advise(found: Diagnosis) -> Iterator[Advice]:
    """The advice, the most important first."""
    if found.store.problem:
        pod = _pod(*_as_root(found), volume=found.store.path) if found.process.container else ""
        yield Advice(text="Give KRUNNER_HOME a folder that can be written.", pod=pod)
    elif found.chosen != "overlay":
        yield from _towards_overlay(found)
    yield from _files_and_users(found)
    yield from _room(found)
    yield from _credentials(found)


def _towards_overlay(found: Diagnosis) -> Iterator[Advice]:
    process, store = found.process, found.store
    volume = store.path if store.holds_upper is False or store.file_system == "overlay" else ""
    if not process.mounts_refused:
        if process.container:
            yield Advice(text=f"{_GOAL}, put the store on a volume.", pod=_pod(volume=store.path))
        else:
            yield Advice(text=f"{_GOAL}, set KRUNNER_HOME to a folder on ext4, xfs or btrfs.")
        return
    if not process.container:
        yield Advice(text=f"{_GOAL}, build as root or allow user namespaces: {process.mounts_refused}.")
        return
    yield Advice(
        text=f"{_GOAL}, let the container make user namespaces.",
        pod=_pod(*_user_namespaces(found), volume=volume),
    )
    yield Advice(
        text="Or give it CAP_SYS_ADMIN, with hostUsers: false where the cluster has it.",
        pod=_pod(*_as_root(found), "capabilities: {add: [SYS_ADMIN]}", *_apparmor(found), volume=volume),
    )
    if process.own_image and found.chosen == "chroot" and store.mount_point != "/":
        yield Advice(
            text="Or, for a real /proc in commands, mount nothing at the store: the in-place driver then works."
        )


def _user_namespaces(found: Diagnosis) -> Iterator[str]:
    yield from _as_root(found)
    yield "seccompProfile: {type: Unconfined}"
    yield from _apparmor(found)


def _as_root(found: Diagnosis) -> Iterator[str]:
    if found.process.uid != 0:
        yield "runAsUser: 0"


def _apparmor(found: Diagnosis) -> Iterator[str]:
    if found.process.apparmor:
        yield "appArmorProfile: {type: Unconfined}"


def _files_and_users(found: Diagnosis) -> Iterator[Advice]:
    lacking = found.process.lacking
    if lacking and found.process.uid == 0:
        names = ", ".join(name.removeprefix("CAP_") for name in lacking)
        yield Advice(
            text=f"Images with files or commands of other users fail without {', '.join(lacking)}.",
            pod=_pod(f"capabilities: {{add: [{names}]}}"),
        )
    if not found.store.executable and found.chosen != "overlay":
        yield Advice(text=f"RUN fails: mount {found.store.mount_point} without noexec.")


def _room(found: Diagnosis) -> Iterator[Advice]:
    store = found.store
    if store.free_bytes is not None and store.free_bytes < _LITTLE_SPACE:
        yield Advice(
            text=f"There is little room in {store.path}: unpacked layers take about three times their size."
        )
    if store.free_inodes is not None and store.free_inodes < _FEW_INODES:
        yield Advice(text=f"There are few inodes in {store.path}: every file of a base image takes one.")


def _credentials(found: Diagnosis) -> Iterator[Advice]:
    for source in found.credentials:
        for problem in source.problems:
            yield Advice(text=f"Credentials in {source.source} cannot be used: {problem}.")


def _pod(*security: str, volume: str = "") -> str:
    lines = ["spec:", "  containers:", "    - name: krunner"]
    if security:
        lines += ["      securityContext:", *(f"        {line}" for line in security)]
    if volume:
        lines += [
            *("      volumeMounts:", f"        - {{name: krunner-store, mountPath: {volume}}}"),
            *("  volumes:", "    - {name: krunner-store, emptyDir: {}}"),
        ]
    return "\n".join(lines) + "\n"
