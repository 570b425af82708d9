"""What the `warmer` is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import dataclass, field
from executor.spec import RegistryOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmRequest:
    """What to warm. `folder` is absolute, `ttl` in seconds.

    `platforms` are `os/arch[/variant]`, none for this machine's. `force` fetches what is fresh too. With
    `keep_going` an image that fails does not keep the others from being warmed, nor the command from succeeding.
    """

    folder: str
    registry: RegistryOptions
    images: tuple[str, ...] = ()
    dockerfiles: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    ttl: float = 14 * 24 * 3600.0
    force: bool = False
    keep_going: bool = False
