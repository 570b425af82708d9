"""Why a program of another architecture does not start here, and what would let it.

The kernel's table of binary formats (binfmt_misc) names an emulator for each; entries are files in its folder.
"""

from __future__ import annotations

from pathlib import Path

from executor.errors import StepError
from executor.image.platform import Platform

TABLE = Path("/proc/sys/fs/binfmt_misc")
_QEMU_NAMES = {
    "386": "i386", "amd64": "x86_64", "arm": "arm", "arm64": "aarch64", "loong64": "loongarch64",
    "mips64le": "mips64el", "mipsle": "mipsel",
}  # fmt: skip
_SIGNS = ("exec format error", "(its interpreter)")


def explain_foreign(error: StepError, platform: Platform, table: Path = TABLE) -> None:
    """Let `error`, a command that did not start, say so when it is for another machine than this one.

    `platform` is the image's. The message then names it and the entry that is missing or of no use; the hint how
    to register one, or to do without.
    """
    host = Platform.host()
    if platform.architecture == host.architecture or not error.message.endswith(_SIGNS):
        return
    name = f"qemu-{_QEMU_NAMES.get(platform.architecture, platform.architecture)}"
    error.message += f"; the image is for {platform}, this machine is {host}, and {_state(table, name)}"
    error.hint = (
        f"register an emulator on the machine, with the flag F (Debian: qemu-user-static and binfmt-support; "
        f"or docker run --privileged tonistiigi/binfmt --install {platform.architecture}), "
        "or compile in a stage that is FROM --platform=$BUILDPLATFORM"
    )


def _state(table: Path, name: str) -> str:
    entry = table / name
    if not (table / "status").exists():
        return f"no emulator can run it: {table} is not mounted, so {entry} is not there"
    if not entry.exists():
        return f"no emulator for it is registered: there is no {entry}"
    facts = entry.read_text(errors="replace").split("\n")
    if facts[0] != "enabled" or (table / "status").read_text().strip() != "enabled":
        return f"the emulator of {entry} is disabled"
    flags = next((line.removeprefix("flags: ") for line in facts if line.startswith("flags: ")), "")
    if "F" not in flags:
        return f"{entry} lacks the flag F, so that its emulator would have to be in the image"
    return f"the emulator of {entry} does not start it"
