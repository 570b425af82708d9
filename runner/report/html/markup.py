"""HTML that is safe by construction: text that is not `Html` is made harmless and escaped where it is put."""

from __future__ import annotations

import html

from runner.report.plaintext import harmless

_VOID = ("meta", "br")
Attribute = str | int | float | bool | None


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: Attribute) -> Html:
    """An element. Attributes: a last underscore is dropped, others are hyphens; None and False leave one out."""
    shown = "".join(map(_attribute, attributes, attributes.values()))
    return Html(f"<{name}{shown}>" if name in _VOID else f"<{name}{shown}>{join(*children)}</{name}>")


def join(*parts: str) -> Html:
    """One after the other; what is no Html yet becomes it."""
    return Html("".join(part if isinstance(part, Html) else html.escape(harmless(part)) for part in parts))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    shown = name.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{html.escape(harmless(str(value)))}"'
