"""Debian's Chromium without a screen: what it says of a page, and what the page looks like."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_NO_ORIGIN = "not an origin"
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-features=NetworkTimeServiceQuerying", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """What a page came to: its DOM after loading, the log of the browser, and the addresses that it asked for."""

    dom: str
    log: str
    requested: tuple[str, ...]


def visit(page: Path, *, width: int = 1200) -> Visit:
    """Load a file in a window of this width."""
    with tempfile.TemporaryDirectory() as folder:
        netlog = Path(folder) / "netlog.json"
        watch = (f"--log-net-log={netlog}", "--enable-logging=stderr", "--v=0")
        done = _chromium(folder, *watch, f"--window-size={width},900", "--dump-dom", page.as_uri())
        return Visit(dom=done.stdout, log=done.stderr, requested=_requested(netlog))


def screenshot(page: Path, picture: Path, *, width: int, height: int, dark: bool = False) -> None:
    """Take a picture of the top of a page."""
    options = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    with tempfile.TemporaryDirectory() as folder:
        _chromium(folder, *options, f"--window-size={width},{height}", f"--screenshot={picture}", page.as_uri())


def _chromium(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["chromium", *_OPTIONS, f"--user-data-dir={folder}/profile", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=90)


def _requested(netlog: Path) -> tuple[str, ...]:
    """The addresses that pages asked for; what the browser wants for itself has no origin."""
    asked = (event.get("params", {}) for event in json.loads(netlog.read_text())["events"])
    found = {params["url"] for params in asked if params.get("initiator", _NO_ORIGIN) != _NO_ORIGIN}
    return tuple(sorted(url for url in found if not url.startswith(("file:", "chrome:", "data:"))))
