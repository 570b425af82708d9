"""All that can be known to be wrong with a list before the first build: files, Dockerfiles, secrets, registries.

Nothing stops at the first fault: what one check finds wrong is left out of the next ones, and the rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from executor.errors import Diagnostic, Error, InvalidFileError, Location
from executor.spec import BuildSpec, SecretSource
from runner.buildsfile.entry import Entry
from runner.buildsfile.findings import in_order
from runner.buildsfile.resolved import Resolved
from runner.executor import Executor
from runner.model import ImageSpec, Overrides, RunConfig
from runner.planning.plan import plan

_MOST_AT_ONCE = 8


class Validation:
    """The checks of one list. `faults` gives what they found."""

    def __init__(
        self, resolved: Resolved, overrides: Overrides, executor: Executor, environment: Mapping[str, str]
    ) -> None:
        self._executor = executor
        self._environment = environment
        self._findings = resolved.findings
        self._entries = resolved.checked()
        self.config: RunConfig = resolved.assembled(self._entries, overrides)

    def run(self, *, online: bool = False) -> list[Diagnostic]:
        """Check everything; with `online` also what the registries say. The faults in the order of their lines."""
        pairs = list(zip(self._entries, self.config.images, strict=True))
        for entry, image in pairs:
            self._check_sources(entry, image.build)
            self._check_required(image)
        self._check_order()
        if online:
            self._check_registries(pairs)
        return in_order(self._findings.sorted())

    def _check_sources(self, entry: Entry, spec: BuildSpec) -> None:
        """Whether the secrets and agents that the entry names are there."""
        for secret in spec.secrets:
            if missing := _missing_secret(secret, self._environment):
                entry.note(("secrets", secret.id), f"the secret {secret.id!r}: {missing}")
        for name, socket in spec.ssh.items():
            place = socket or self._environment.get("SSH_AUTH_SOCK", "")
            if not place:
                entry.note(("ssh", name), f"the agent {name!r}: the variable SSH_AUTH_SOCK is not set")
            elif not os.path.exists(place):
                entry.note(("ssh", name), f"the agent {name!r}: there is no such socket")

    def _check_required(self, image: ImageSpec) -> None:
        """Whether the entry names the secrets and agents that its RUN instructions must have."""
        given = {("secret", secret.id) for secret in image.build.secrets}
        given |= {("ssh", name) for name in image.build.ssh}
        for kind, name, place in self._facts(image):
            if (kind, name) not in given:
                key = "secrets" if kind == "secret" else "ssh"
                message = f"the image {image.name!r} is not given the {kind} {name!r} that this RUN requires"
                self._findings.extend([Diagnostic(place, message, hint=f"name it in the `{key}` of the image")])

    def _facts(self, image: ImageSpec) -> Iterable[tuple[str, str, Location]]:
        """The required mounts; none where the Dockerfile has faults, which the order finds."""
        if not _can_be_read(image.build):
            return ()
        try:
            return self._executor.required_mounts(image.build)
        except Error:
            return ()

    def _check_order(self) -> None:
        """Whether the Dockerfiles can be planned and the images ordered."""
        try:
            plan(self.config, lambda spec: self._executor.base_images(spec) if _can_be_read(spec) else ())
        except InvalidFileError as error:
            self._findings.extend(error.diagnostics)

    def _check_registries(self, pairs: Sequence[tuple[Entry, ImageSpec]]) -> None:
        local = {reference for _, image in pairs for reference in image.references}
        checkable = [(entry, image) for entry, image in pairs if _can_be_read(image.build)]
        with ThreadPoolExecutor(_MOST_AT_ONCE) as threads:
            answers = threads.map(lambda pair: self._asked(pair[1].build, local), checkable)
            for (entry, image), found in zip(checkable, answers, strict=True):
                for kind, reference, error in found:
                    key = _key_of(kind, reference, image)
                    entry.note(key, f"the {kind} {reference}: {error.message}", error.hint)

    def _asked(self, spec: BuildSpec, local: set[str]) -> list[tuple[str, str, Error]]:
        try:
            return self._executor.unreachable(spec, local)
        except Error:
            return []  # of the Dockerfile, found before


def _key_of(kind: str, reference: str, image: ImageSpec) -> tuple[str | int, ...]:
    if kind == "destination" and reference in image.references:
        return ("destinations", image.references.index(reference))
    return ()


def _can_be_read(spec: BuildSpec) -> bool:
    """Whether there is a Dockerfile to look at; that there is none has been noted."""
    if spec.dockerfile_text is not None:
        return True
    return "://" not in spec.context and ("://" in spec.dockerfile or os.path.isfile(spec.dockerfile))


def _missing_secret(secret: SecretSource, environment: Mapping[str, str]) -> str:
    if not secret.path:
        return "" if secret.env in environment else f"the variable {secret.env} is not set"
    if not os.path.isfile(secret.path):
        return f"{secret.path} is not a file" if os.path.exists(secret.path) else f"there is no file {secret.path}"
    return "" if os.access(secret.path, os.R_OK) else f"the file {secret.path} cannot be read"
