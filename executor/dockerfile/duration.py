"""Go's durations, as HEALTHCHECK takes them: `1h30m`, `1.5s`, `-2ms`, `0`."""

from __future__ import annotations

import re

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,  # the Greek letter; the one above is the micro sign
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")
_LARGEST = 2**63 - 1


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises ValueError with a message for the user. Behaviour: Go's `time.ParseDuration`."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"invalid duration {text!r}")
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if not part:
            raise ValueError(f"missing unit in duration {text!r} (like 30s, 1m30s, 500ms)")
        total += _nanoseconds(text, *part.groups(default=""))
        at = part.end()
    if total > _LARGEST:
        raise ValueError(f"duration {text!r} is too long")
    return sign * total


def format_duration(nanoseconds: int) -> str:
    """A duration as Go writes it: `1h0m5s`, `1.5ms`, `0s`. Behaviour: Go's `Duration.String`."""
    if nanoseconds < 0:
        return f"-{format_duration(-nanoseconds)}"
    if nanoseconds == 0:
        return "0s"
    for unit in ("ns", "µs", "ms"):
        if nanoseconds < _NANOSECONDS[unit] * 1000:
            return f"{_decimal(nanoseconds, _NANOSECONDS[unit])}{unit}"
    minutes, rest = divmod(nanoseconds, _NANOSECONDS["m"])
    hours, minutes_left = divmod(minutes, 60)
    shown = f"{hours}h{minutes_left}m" if hours else f"{minutes}m" if minutes else ""
    return f"{shown}{_decimal(rest, _NANOSECONDS['s'])}s"


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    digits = f"{rest:0{len(str(scale)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _nanoseconds(text: str, whole: str, fraction: str, unit: str) -> int:
    if not whole and not fraction:
        raise ValueError(f"invalid duration {text!r}")
    if len(whole) > 19:
        raise ValueError(f"duration {text!r} is too long")
    scale = _NANOSECONDS.get(unit)
    if scale is None:
        raise ValueError(f"unknown unit {unit!r} in duration {text!r} (ns, us, ms, s, m, h)")
    digits = fraction[:18]  # the others are worth less than a nanosecond in any unit
    return int(whole or 0) * scale + int(int(digits or 0) * scale // 10 ** len(digits))
