"""A terminal that can be looked at: a tmux server of our own with one window."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from integration.support import leftovers

_SECONDS = 40.0


class Window:
    """A window that runs `sh -c command` in `folder`; close it, whatever happens."""

    def __init__(self, folder: Path, command: str, *, columns: int, lines: int) -> None:
        self._socket = folder / "socket"
        self._before = set(leftovers.descendants(os.getpid()))
        size = ("-x", str(columns), "-y", str(lines))
        self.tmux("new-session", "-d", "-c", str(folder), *size, "sh", "-c", command)

    def tmux(self, *words: str) -> str:
        """A command of tmux; what it prints."""
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names."""
        self.tmux("send-keys", *names)

    def screen(self, *, colours: bool = False) -> str:
        """What it shows now."""
        return self.tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def until(self, *texts: str) -> str:
        """The screen as soon as it has all `texts`."""
        deadline = time.monotonic() + _SECONDS
        while not all(text in (screen := self.screen()) for text in texts):
            assert time.monotonic() < deadline, screen
            time.sleep(0.1)
        return screen

    def close(self) -> None:
        """End the server, and wait until all that ran in it has ended."""
        self.tmux("kill-server")
        deadline = time.monotonic() + _SECONDS
        while left := set(leftovers.descendants(os.getpid())) - self._before:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
