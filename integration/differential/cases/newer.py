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
    contexts: Mapping[str, Mapping[str, Node] | str] | None = None,
    target: str = "",
    platform: str = "",
) -> Case:
    """A case without an equivalent in older syntax."""
    return Case(
        name=name,
        dockerfile=head + "".join(f"{line}\n" for line in lines),
        args=args or {},
        context=context or {},
        contexts=contexts or {},
        target=target,
        platform=platform,
        newer=True,
    )
