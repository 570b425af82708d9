"""Image references with docker's normal forms: `[registry/]repository[:tag][@digest]`.

Grammar: distribution's `reference` package; short names belong to docker.io, one-part ones to docker.io/library.
"""

from __future__ import annotations

import re

from executor.dataclass import dataclass, replace
from executor.errors import ImageError, UsageError
from executor.image.digest import Digest

DOCKER_HUB = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_REGISTRY = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_HUB_ALIASES = ("index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference. `repository` has no registry; `tag` and `digest` are '' and None when absent."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, *, default_tag: str = "latest") -> Reference:
        """Read `text`; a reference with neither tag nor digest gets `default_tag`.

        Raises UsageError that says which part is wrong.
        """
        name, digest = _split_digest(text)
        name, tag = _split_tag(name, text)
        registry, repository = _split_registry(name)
        if not _REGISTRY.match(registry):
            raise UsageError(f"{text!r}: {registry!r} is not a registry host")
        if not _REPOSITORY.match(repository) or len(repository) > 255:
            hint = "repository names are lower case" if repository != repository.lower() else ""
            raise UsageError(f"{text!r}: {repository!r} is not a repository name", hint=hint)
        return cls(registry, repository, tag or ("" if digest else default_tag), digest)

    @property
    def name(self) -> str:
        """`registry/repository`."""
        return f"{self.registry}/{self.repository}"

    @property
    def selector(self) -> str:
        """What a manifest URL ends in: the digest where there is one, else the tag."""
        return str(self.digest) if self.digest else self.tag

    def with_digest(self, digest: Digest) -> Reference:
        """The same reference, pinned to `digest`."""
        return replace(self, digest=digest)

    def familiar(self) -> str:
        """The short form that docker shows: no docker.io/library/, unless the rest would look like a host."""
        short = self.repository.removeprefix("library/")
        for name in (short, self.repository):
            if _split_registry(name) == (self.registry, self.repository):
                return name + str(self).removeprefix(self.name)
        return str(self)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}@{self.digest}" if self.digest else f"{self.name}{tag}"


def _split_digest(text: str) -> tuple[str, Digest | None]:
    name, at, digest = text.partition("@")
    if not at:
        return name, None
    try:
        return name, Digest.parse(digest)
    except ImageError as error:
        raise UsageError(f"{text!r}: {error}") from error


def _split_tag(name: str, text: str) -> tuple[str, str]:
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, ""
    if not _TAG.match(tag):
        raise UsageError(f"{text!r}: {tag!r} is not a tag")
    return head, tag


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, repository = (first, rest) if is_host else (DOCKER_HUB, name)
    if registry in _HUB_ALIASES:
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository
