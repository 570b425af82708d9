"""Tests in a forked child with mounts of its own, so that nothing they do can reach this machine."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import ParamSpec

from executor.rootfs.kernel.namespaces import enter_mount_namespace

P = ParamSpec("P")


class FailedInChildError(AssertionError):
    """A test failed in its child; the message is the child's traceback."""


def in_child(test: Callable[P, None]) -> Callable[P, None]:
    """Run `test` in a forked child that has entered a mount namespace, and fail as it fails."""

    @functools.wraps(test)
    def wrapper(*arguments: P.args, **fixtures: P.kwargs) -> None:
        run_in_child(functools.partial(test, *arguments, **fixtures))

    return wrapper


def run_in_child(action: Callable[[], None], *, enter: bool = True) -> None:
    """Run `action` in a forked child; with `enter`, in a mount namespace of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        report = ""
        try:
            if enter:
                enter_mount_namespace()
            action()
        except BaseException:  # noqa: BLE001 - whatever it is, the parent tells it
            report = traceback.format_exc()
        finally:
            with os.fdopen(writing, "w", encoding="utf-8", errors="replace") as pipe:
                pipe.write(report)
            os._exit(bool(report))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        report = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if report or status:
        raise FailedInChildError(report or f"the child ended with status {status}")
