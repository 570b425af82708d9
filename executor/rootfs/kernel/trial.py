"""Finding out by doing: an attempt in a forked child, whose namespaces and mounts end with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from executor.errors import Error, UnfitError
from executor.rootfs.base import Probe
from executor.rootfs.kernel.forking import fork_with_signals_blocked


def try_in_child(action: Callable[[], object]) -> Probe:
    """Run `action` in a forked child. It worked when it raises nothing; else the reason is the error's text.

    Raises UnfitError when no process can be started.
    """
    reading, writing = os.pipe()
    try:
        child, mask = fork_with_signals_blocked()
    except UnfitError:
        os.close(reading)
        os.close(writing)
        raise
    if child != 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    else:
        reason = "it failed"
        try:
            action()
            reason = ""
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        except Error as error:
            reason = error.message
        finally:
            os.write(writing, reason.encode("utf-8", "replace")[:4000])
            os._exit(bool(reason))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        reason = pipe.read().decode("utf-8", "replace")
    failed = os.waitpid(child, 0)[1] != 0
    return Probe(not failed, (reason or "it was killed") if failed else "")
