"""What `krunner doctor` advises, from findings that no single machine has."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from executor.build.survey.advice import advise
from executor.diagnosis import (
    CredentialsFinding,
    Diagnosis,
    DriverFinding,
    LimitsFinding,
    ProcessFinding,
    StoreFinding,
)

ROOMY = StoreFinding(
    path="/kaniko/store", mount_point="/", file_system="overlay", free_bytes=10**11, free_inodes=10**7
)
CONTAINER = Diagnosis(
    drivers=(
        DriverFinding(name="overlay", works=False, commands=False, reason="no"),
        DriverFinding(name="chroot", works=True, commands=True),
        DriverFinding(name="in-place", works=True, commands=True),
    ),
    chosen="in-place",
    store=ROOMY,
    process=ProcessFinding(uid=0, becomes="root", mounts_refused="no", container=True, own_image=True),
    limits=LimitsFinding(memory=None, cpus=None, usable_cores=2),
    credentials=(),
    emulators=None,
    git="",
)


def with_process(found: Diagnosis, **changes: object) -> Diagnosis:
    return replace(found, process=replace(found.process, **changes))


def with_store(found: Diagnosis, **changes: object) -> Diagnosis:
    return replace(found, store=replace(found.store, **changes))


def pods(found: Diagnosis) -> list[dict[str, object]]:
    return [yaml.safe_load(advice.pod)["spec"] for advice in advise(found) if advice.pod]


def security(pod: dict[str, object]) -> dict[str, object]:
    return pod["containers"][0].get("securityContext", {})  # type: ignore[index]


def test_overlay_needs_no_advice() -> None:
    assert list(advise(replace(CONTAINER, chosen="overlay", store=replace(ROOMY, file_system="ext4")))) == []


def test_default_container() -> None:
    by_namespace, by_capability = pods(CONTAINER)
    assert security(by_namespace) == {"seccompProfile": {"type": "Unconfined"}}
    assert security(by_capability) == {"capabilities": {"add": ["SYS_ADMIN"]}}
    for pod in (by_namespace, by_capability):
        assert pod["containers"][0]["volumeMounts"] == [{"name": "krunner-store", "mountPath": "/kaniko/store"}]  # type: ignore[index]
        assert pod["volumes"] == [{"name": "krunner-store", "emptyDir": {}}]


def test_no_volume_where_the_store_has_one() -> None:
    found = replace(with_store(CONTAINER, file_system="ext4", mount_point="/kaniko/store"), chosen="chroot")
    assert all("volumes" not in pod for pod in pods(found))
    assert any("mount nothing at the store" in advice.text for advice in advise(found))


def test_apparmor_and_another_user() -> None:
    found = with_process(CONTAINER, apparmor="docker-default", uid=1000)
    for pod in pods(found):
        assert security(pod)["appArmorProfile"] == {"type": "Unconfined"}
        assert security(pod)["runAsUser"] == 0


def test_only_the_volume_is_missing() -> None:
    (pod,) = pods(with_store(with_process(CONTAINER, mounts_refused=""), holds_upper=False))
    assert security(pod) == {}
    assert "volumes" in pod


def test_missing_capabilities_are_named() -> None:
    *_, pod = pods(with_process(CONTAINER, lacking=("CAP_CHOWN", "CAP_SETUID")))
    assert security(pod) == {"capabilities": {"add": ["CHOWN", "SETUID"]}}


def test_a_store_that_cannot_be_used() -> None:
    (pod,) = pods(with_process(with_store(CONTAINER, problem="Permission denied"), uid=1000))
    assert security(pod) == {"runAsUser": 0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"free_bytes": 10**9}, "little room"),
        ({"free_inodes": 10}, "few inodes"),
        ({"executable": False, "mount_point": "/m"}, "mount /m without noexec"),
    ],
)
def test_the_store(changes: dict[str, object], words: str) -> None:
    assert any(words in advice.text for advice in advise(with_store(CONTAINER, **changes)))


def test_outside_of_containers_pods_are_no_help() -> None:
    machine = with_process(CONTAINER, container=False, own_image=False, mounts_refused="user namespaces are off")
    assert pods(machine) == []
    assert "user namespaces are off" in next(advise(machine)).text
    (advice,) = advise(with_store(with_process(machine, mounts_refused=""), file_system="nfs", holds_upper=False))
    assert "KRUNNER_HOME" in advice.text


def test_credentials() -> None:
    broken = CredentialsFinding(source="/c.json", found=True, problems=("is not JSON",))
    found = replace(CONTAINER, chosen="overlay", credentials=(broken,))
    assert [advice.text for advice in advise(found)] == ["Credentials in /c.json cannot be used: is not JSON."]
