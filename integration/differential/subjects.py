"""The builder under test, by driver: a preloaded `executor`, here or in a container of our own image."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from integration.differential.outcomes import BuiltImage, Failure, Outcome
from integration.differential.reference import build
from integration.support.builders import Builder, Case, laid_out
from integration.support.flatten import flatten
from integration.support.images import read_layout
from integration.support.preloaded import Done, Preloaded
from integration.support.programs import ProgramError

DRIVERS = ("overlay", "chroot", "in-place")

_PLACE = re.compile(r"Dockerfile:(\d+)")
_ERROR = re.compile(r"^ERRO (.*)$", re.MULTILINE)


class Subject(Protocol):
    """Builds cases by what `driver` names."""

    @property
    def driver(self) -> str:
        """A driver of ours, or another builder."""

    def outcome(self, case: Case, *, hosts: Mapping[str, str]) -> Outcome:
        """Build the case; a failure is a result like another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderSubject:
    """Another builder in our place."""

    driver: str
    builder: Builder

    def outcome(self, case: Case, *, hosts: Mapping[str, str]) -> Outcome:
        """Build the case; where it failed is not known."""
        try:
            return build(self.builder, case.at(hosts))
        except ProgramError as error:
            return Failure(lines=(), message=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSubject:
    """`executor` with one driver. `folder` is where cases are laid out, `seen_as` how the builder names it."""

    driver: str
    server: Preloaded
    folder: Path
    seen_as: str
    flags: Sequence[str] = ()

    def outcome(self, case: Case, *, hosts: Mapping[str, str]) -> Outcome:
        """Build the case; a failure is a result like another."""
        case = case.at(hosts)
        with laid_out(case, below=self.folder) as (context, dockerfile):
            scratch = context.parent
            with tempfile.TemporaryDirectory(dir=scratch) as output:
                words = [f"--context={self._inside(context)}", f"--dockerfile={self._inside(dockerfile)}"]
                words += ["--no-push", "--destination=registry.test/case", *case.flags(self._inside(scratch))]
                done = self.build(*words, f"--oci-layout-path={self._inside(Path(output))}/layout")
                if done.status != 0:
                    return failure(done)
                image = read_layout(Path(output) / "layout")
        return BuiltImage(tree=flatten(image), config=image.config)

    def build(self, *words: str | Path) -> Done:
        """Run `executor` with this driver."""
        return self.server.run(f"--rootfs={self.driver}", "--insecure", "--insecure-pull", *self.flags, *words)

    def _inside(self, path: Path) -> str:
        return f"{self.seen_as}/{path.relative_to(self.folder)}"


def failure(done: Done) -> Failure:
    """Where and why a build failed, by what it printed first. A bug of ours is never an expected failure."""
    assert done.status != 70, done.output
    assert "Traceback" not in done.output, done.output
    message = next(iter(_ERROR.findall(done.output)), done.output)
    place = _PLACE.search(message)
    return Failure(lines=(int(place[1]),) if place else (), message=message)
