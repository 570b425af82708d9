"""Image references in docker's normal form, as far as the runner needs them: to compare, not to transfer.

The runner may not see the executor's own parser (the import rule); a test holds the two against each other.
"""

from __future__ import annotations

import re

from executor.errors import UsageError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_REGISTRY = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DOCKER_HUB = "docker.io"
_HUB_ALIASES = ("index.docker.io", "registry-1.docker.io")


def normalise(text: str) -> str:
    """`registry/repository:tag`, with docker.io, library/ and latest filled in.

    Raises UsageError for a digest or a malformed part. The message does not repeat the text.
    """
    if "@" in text:
        raise UsageError("has a digest", hint="name a tag: the digest is what the push results in")
    name, tag = _split_tag(text)
    registry, repository = _split_registry(name)
    if not _REGISTRY.match(registry):
        raise UsageError("has a malformed registry", hint="registries are host or host:port, without https://")
    if not _REPOSITORY.match(repository) or len(repository) > 255:
        upper = repository != repository.lower()
        raise UsageError(
            "has a malformed repository",
            hint="repository names are lower case" if upper else "for example registry.example.com/team/web:1.0",
        )
    return f"{registry}/{repository}:{tag}"


def _split_tag(text: str) -> tuple[str, str]:
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, "latest"
    if not _TAG.match(tag):
        raise UsageError("has a malformed tag", hint="tags are letters, digits, `_`, `.` and `-`, at most 128")
    return name, tag


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, repository = (first, rest) if is_host else (_DOCKER_HUB, name)
    if registry in _HUB_ALIASES:
        registry = _DOCKER_HUB
    if registry == _DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository
