"""The ports of EXPOSE, as BuildKit reads them: `[[ip:]host:]container[-last][/protocol]`.

Addresses and ports of the host are checked and otherwise mean nothing.
"""

from __future__ import annotations

import ipaddress
import re

_NUMBER = re.compile(r"[+-]?[0-9]+")
_PROTOCOLS = ("tcp", "udp", "sctp")
_HIGHEST = 65535


def parse_ports(text: str) -> list[str]:
    """`port/protocol` of each port. Raises ValueError, worded as BuildKit does."""
    address, host, container = _parts(text)
    container, _, protocol = container.partition("/")
    if not container:
        raise ValueError(f'invalid port: "{text}": no port specified')
    if (protocol or "tcp").lower() not in _PROTOCOLS:
        raise ValueError(f'invalid port: "{text}": invalid proto: {protocol}')
    if address:
        _check_address(address)
    ports = _range(container, "containerPort")
    if host and len(_range(host, "hostPort")) != len(ports) > 1:
        raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    return [f"{port}/{(protocol or 'tcp').lower()}" for port in ports]


def _parts(text: str) -> tuple[str, str, str]:
    *rest, container = text.split(":")
    host = rest.pop() if rest else ""
    return ":".join(rest), host, container


def _check_address(text: str) -> None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"invalid IP address: {text}") from None


def _range(text: str, what: str) -> range:
    first, dash, last = text.partition("-")
    start, end = _port(first), _port(last if dash else first)
    if start is None or end is None or end < start:
        raise ValueError(f"invalid {what}: {text}")
    return range(start, end + 1)


def _port(text: str) -> int | None:
    if not _NUMBER.fullmatch(text) or len(text) > 32:
        return None
    return int(text) if 0 <= int(text) <= _HIGHEST else None
