"""How many builds go side by side when nobody says."""

import os

import pytest

from executor.build import capacity, cgroup
from executor.rootfs.inplace import guard


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many cores and so much memory, perhaps a container of our image."""

    def make(*, cores, gigabytes, ours=False, in_place=True, quota=None):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)))
        monkeypatch.setattr(cgroup, "cpus", lambda: quota)
        monkeypatch.setattr(capacity, "_memory", lambda: int(gigabytes * (1 << 30)))
        monkeypatch.setattr(capacity, "_is_our_container", lambda: ours)
        monkeypatch.setattr(capacity, "_takes_the_root", lambda _home: in_place)

    return make


@pytest.mark.parametrize(("cores", "gigabytes", "expected"), [(8, 64, 8), (8, 3.5, 3), (1, 64, 1), (4, 0.2, 1)])
def test_cores_and_memory_bound_it(machine, cores, gigabytes, expected):
    machine(cores=cores, gigabytes=gigabytes)
    assert capacity.builds_at_once({"auto"}) == expected


@pytest.mark.parametrize(("quota", "expected"), [(2.0, 2), (1.5, 2), (0.25, 1), (64.0, 8)])
def test_a_container_has_the_processors_of_its_quota(machine, quota, expected):
    machine(cores=8, gigabytes=64, quota=quota)
    assert capacity.builds_at_once({"auto"}) == expected


def test_a_container_has_the_memory_of_its_limit(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    monkeypatch.setattr(cgroup, "cpus", lambda: None)
    monkeypatch.setattr(cgroup, "memory", lambda: 1 << 30)
    assert capacity.builds_at_once({"overlay"}) == 1


def test_builds_that_may_take_the_root_over_go_one_after_the_other(machine):
    machine(cores=8, gigabytes=64)
    assert capacity.builds_at_once({"overlay", "in-place"}) == 1
    machine(cores=8, gigabytes=64, ours=True)
    assert capacity.builds_at_once({"auto"}) == 1
    assert capacity.builds_at_once({"chroot"}) == 8


def test_in_our_container_they_go_side_by_side_where_another_driver_works(machine):
    machine(cores=8, gigabytes=64, ours=True, in_place=False)
    assert capacity.builds_at_once({"auto"}) == 8
    assert capacity.builds_at_once({"auto", "in-place"}) == 1


def test_this_machine_is_not_ours_and_has_memory():
    with pytest.raises(Exception, match="must not be taken over"):
        guard.permit()
    assert capacity.builds_at_once({"auto"}) >= 1
