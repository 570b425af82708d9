"""Cases that only today's BuildKit knows, made of the lines after `FROM`."""

from __future__ import annotations

from collections.abc import Mapping

from integration.support.builders import Case
from integration.support.recipes import Node

HEAD = "FROM registry.test/busybox\n"


def case(
    name: str,
    *lines: str,
    head: str = HEAD,
    args: Mapping[str, str] | None = None,
    context: Mapping[str, Node] | None = None,
    target: str = "",
) -> Case:
    """A case without an equivalent in older syntax."""
    text = head + "".join(f"{line}\n" for line in lines)
    return Case(name=name, dockerfile=text, args=args or {}, context=context or {}, target=target, newer=True)
