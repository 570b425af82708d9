"""The image configuration (OCI image spec, config.md) with Docker's additions, as BuildKit reads and writes it.

Fields of a base image that BuildKit does not know (container, docker_version, Hostname, …) are dropped, as there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from executor.dataclass import dataclass, field
from executor.errors import ImageError
from executor.image.digest import Digest
from executor.image.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """How to test a container. `test` is `("NONE",)` or starts with CMD or CMD-SHELL; times are nanoseconds."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """The `config` object: what a container of the image runs. None means absent, () means an empty list."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False

    def environment(self) -> dict[str, str]:
        """`env` as a mapping; the last of equal names wins."""
        return {name: value for name, _, value in (item.partition("=") for item in self.env)}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One entry of the history: the instruction that made a layer, or only metadata (`empty_layer`)."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """A whole configuration. `created` is RFC 3339 text, '' when absent; `diff_ids` are lowest layer first."""

    platform: Platform
    created: str = ""
    author: str = ""
    config: ContainerConfig = ContainerConfig()
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The configuration as compact JSON, always the same bytes for equal values."""
        document = _without_empty(
            {
                "architecture": self.platform.architecture,
                "os": self.platform.os,
                "variant": self.platform.variant,
                "os.version": self.os_version,
                "os.features": list(self.os_features),
                "author": self.author,
                "created": self.created,
            }
        )
        document["config"] = _container_to_json(self.config)
        document["rootfs"] = {"type": "layers", "diff_ids": [str(digest) for digest in self.diff_ids]}
        document["history"] = [_history_to_json(entry) for entry in self.history]
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def config_from_bytes(content: bytes) -> ImageConfig:
    """Read a configuration. Raises ImageError when it is not one."""
    try:
        document = json.loads(content)
        return ImageConfig(
            platform=Platform(document["os"], document["architecture"], document.get("variant") or ""),
            created=document.get("created") or "",
            author=document.get("author") or "",
            config=_container_from_json(document.get("config") or {}),
            diff_ids=tuple(Digest.parse(text) for text in document["rootfs"].get("diff_ids") or ()),
            history=tuple(_history_from_json(entry) for entry in document.get("history") or ()),
            os_version=document.get("os.version") or "",
            os_features=tuple(document.get("os.features") or ()),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ImageError(f"the image configuration is malformed: {error!r}") from error


def _container_to_json(config: ContainerConfig) -> dict[str, Any]:
    document = _without_empty(
        {
            "User": config.user,
            "ExposedPorts": {port: {} for port in sorted(config.exposed_ports)},
            "Env": list(config.env),
            "Entrypoint": _list(config.entrypoint),
            "Cmd": _list(config.cmd),
            "Healthcheck": _healthcheck_to_json(config.healthcheck) if config.healthcheck else None,
            "Volumes": {path: {} for path in sorted(config.volumes)},
            "WorkingDir": config.working_dir,
            "Labels": dict(sorted(config.labels.items())),
            "StopSignal": config.stop_signal,
            "StopTimeout": config.stop_timeout,
            "ArgsEscaped": config.args_escaped,
            "Shell": _list(config.shell),
        }
    )
    document["OnBuild"] = list(config.on_build) or None
    return document


def _container_from_json(document: Mapping[str, Any]) -> ContainerConfig:
    health = document.get("Healthcheck")
    return ContainerConfig(
        user=document.get("User") or "",
        env=tuple(document.get("Env") or ()),
        entrypoint=_tuple(document.get("Entrypoint")),
        cmd=_tuple(document.get("Cmd")),
        working_dir=document.get("WorkingDir") or "",
        labels=dict(document.get("Labels") or {}),
        exposed_ports=tuple(document.get("ExposedPorts") or ()),
        volumes=tuple(document.get("Volumes") or ()),
        stop_signal=document.get("StopSignal") or "",
        stop_timeout=document.get("StopTimeout"),
        healthcheck=_healthcheck_from_json(health) if health else None,
        shell=_tuple(document.get("Shell")),
        on_build=tuple(document.get("OnBuild") or ()),
        args_escaped=bool(document.get("ArgsEscaped")),
    )


_HEALTH_TIMES = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start_period",
    "StartInterval": "start_interval",
    "Retries": "retries",
}


def _healthcheck_to_json(health: Healthcheck) -> dict[str, Any]:
    times = {key: getattr(health, name) for key, name in _HEALTH_TIMES.items()}
    return {"Test": list(health.test), **_without_empty(times)}


def _healthcheck_from_json(document: Mapping[str, Any]) -> Healthcheck:
    times = {name: int(document.get(key) or 0) for key, name in _HEALTH_TIMES.items()}
    return Healthcheck(test=tuple(document.get("Test") or ()), **times)


def _history_to_json(entry: History) -> dict[str, Any]:
    return _without_empty(
        {
            "created": entry.created,
            "created_by": entry.created_by,
            "comment": entry.comment,
            "author": entry.author,
            "empty_layer": entry.empty_layer,
        }
    )


def _history_from_json(document: Mapping[str, Any]) -> History:
    return History(
        created=document.get("created") or "",
        created_by=document.get("created_by") or "",
        comment=document.get("comment") or "",
        author=document.get("author") or "",
        empty_layer=bool(document.get("empty_layer")),
    )


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in document.items() if value or (value == [] and key in ("Cmd", "Entrypoint"))
    }


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
