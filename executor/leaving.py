"""How a command of ours ends: without what the interpreter does at its own end.

That gives back memory piece by piece which the kernel takes back at once, a tenth of the time of a small build.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn


def leave_after(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` and end the process with the status that it returns or exits with.

    Whatever else it raises ends the process as usual, and so does output that cannot be written.
    """
    status: object
    try:
        status = main()
    except SystemExit as stop:
        status = stop.code
    if status is None or isinstance(status, int):
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):  # None: it was closed from the start
                stream.flush()
        except OSError:
            sys.exit(status)
        os._exit((status or 0) & 0xFF)
    sys.exit(str(status))
