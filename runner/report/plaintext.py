"""Text from builds, made harmless for documents: no colours, no control codes, no letters that reorder a line."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def xml_text(text: str) -> str:
    """The text without colours, and with U+FFFD for what XML 1.0 (section 2.2) cannot hold: control codes."""
    return _NOT_XML.sub("\ufffd", _ANSI.sub("", text))


def page_text(text: str, limit: int) -> str:
    """The text for a web page, harmless and of at most `limit` characters."""
    plain = harmless(text[: 4 * limit])
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def harmless(text: str) -> str:
    """`xml_text`, and none of the characters that turn the direction of what follows."""
    return _BIDI.sub("\ufffd", xml_text(text))
