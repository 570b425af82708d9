"""Named build contexts: what stands in for a stage or an image, and for the sources of COPY and RUN --mount.

    docker-image://REFERENCE                an image; docker-image://scratch is empty
    oci-layout://PATH[:TAG|@DIGEST]         an image of a layout
    a directory, a git repository, a URL    files

Names are compared as BuildKit does: as references in docker's short form, `:latest` left out. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from executor.build.plan.buildplan import Base, ContextBase, ImageBase, ScratchBase
from executor.dataclass import dataclass, field
from executor.errors import UsageError
from executor.image.reference import Reference

OCI_LAYOUT = "oci-layout://"
_IMAGE = "docker-image://"
_OWN_NAMES = ("context", "scratch")


@dataclass(frozen=True, slots=True)
class NamedContexts:
    """The named contexts of a build: what each name stands for, and the values of those that are files."""

    bases: Mapping[str, Base] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> NamedContexts:
        """Read names and values as they were given. Raises UsageError for a name or a value that is none."""
        named = {_normal(name): value for name, value in values.items()}
        if len(named) < len(values):
            raise UsageError(f"two build contexts have the same name: {', '.join(sorted(values))}")
        return cls({name: _base(name, value) for name, value in named.items()}, named)

    def find(self, name: str) -> Base | None:
        """What `name` (of a stage, an image, a --from) stands for, None when no context has it."""
        try:
            return self.bases.get(_familiar(name)) if self.bases else None
        except UsageError:
            return None

    def value(self, name: str) -> str:
        """What was given for the context that `find` finds."""
        return self.values[_familiar(name)]


def _normal(name: str) -> str:
    if name.lower() in _OWN_NAMES:
        raise UsageError(f"a build context cannot be called {name!r}: the name has a meaning of its own")
    try:
        return _familiar(name)
    except UsageError as error:
        raise UsageError(f"{name!r} cannot be the name of a build context: {error.message}") from error


def _familiar(name: str) -> str:
    return Reference.parse(name).familiar().removesuffix(":latest")


def _base(name: str, value: str) -> Base:
    if value.startswith(_IMAGE):
        reference = value.removeprefix(_IMAGE)
        return ScratchBase() if reference == "scratch" else ImageBase(str(Reference.parse(reference)))
    if value.startswith(OCI_LAYOUT):
        return ImageBase(value)
    if not value:
        raise UsageError(f"the build context {name!r} is empty", hint="give a directory or a URL")
    return ContextBase(name)
