"""Platforms as BuildKit writes them: `os/arch[/variant]`, with containerd's normal forms of architectures."""

from __future__ import annotations

import os
from typing import Any

from executor.dataclass import dataclass
from executor.errors import UsageError

_ARCHITECTURES = {
    "x86_64": ("amd64", ""), "x86-64": ("amd64", ""), "aarch64": ("arm64", ""), "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"), "i386": ("386", ""), "i686": ("386", ""),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, an architecture and its variant ('' for the architecture's default)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/arch[/variant]` (or `arch` alone, for linux). Raises UsageError on any other form."""
        parts = text.strip().lower().split("/")
        if len(parts) == 1:
            parts = ["linux", *parts] if parts[0] != "linux" else ["linux", host_architecture()]
        if not 2 <= len(parts) <= 3 or not all(parts):
            raise UsageError(
                f"{text!r} is not a platform", hint="write os/arch or os/arch/variant, as linux/arm64"
            )
        return cls(*parts).normalized()

    @classmethod
    def host(cls) -> Platform:
        """The platform this process runs on."""
        return cls("linux", host_architecture()).normalized()

    def normalized(self) -> Platform:
        """Containerd's normal form: known aliases replaced, default variants dropped (arm64/v8, amd64/v1)."""
        architecture, variant = _ARCHITECTURES.get(self.architecture, (self.architecture, self.variant))
        variant = self.variant or variant
        if (architecture, variant) in (("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")):
            variant = ""
        if architecture == "arm":
            variant = "v" + variant.removeprefix("v") if variant else "v7"
        return Platform(self.os, architecture, variant)

    def serves(self, wanted: Platform) -> bool:
        """True when an image for this platform may be used where `wanted` is asked for."""
        return self.normalized() == wanted.normalized()

    def to_json(self) -> dict[str, Any]:
        """The `platform` object of an OCI descriptor."""
        fields = {"architecture": self.architecture, "os": self.os, "variant": self.variant}
        return {key: value for key, value in fields.items() if value}


def host_architecture() -> str:
    """The machine's architecture in Go's spelling."""
    machine = os.uname().machine.lower()
    return _ARCHITECTURES.get(machine, (machine, ""))[0]
