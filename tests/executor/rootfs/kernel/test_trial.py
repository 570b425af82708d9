"""Attempts in a forked child."""

from __future__ import annotations

import os

from executor.errors import StepError
from executor.rootfs.base import Probe
from executor.rootfs.kernel.trial import try_in_child


def test_trials_tell_why() -> None:
    def fail_by_error() -> None:
        raise StepError("because")

    def fail_by_system() -> None:
        os.stat("/does/not/exist")

    assert try_in_child(lambda: None) == Probe(True, "")
    assert try_in_child(fail_by_error) == Probe(False, "because")
    assert try_in_child(fail_by_system) == Probe(False, "No such file or directory: /does/not/exist")
    assert try_in_child(lambda: os.kill(os.getpid(), 9)) == Probe(False, "it was killed")
    assert try_in_child(lambda: [].index(1)) == Probe(False, "it failed")
