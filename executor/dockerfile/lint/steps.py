"""What single instructions say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from executor.dockerfile.instructions import (
    Add,
    Cmd,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    Shell,
    ShellForm,
    StageInstruction,
)
from executor.dockerfile.lint.finding import Finding, keyword

_HOST_PORT = re.compile(r"[^/]*:")
_ARRAY = re.compile(r"\s*\[.*\]\s*\Z", re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|git@")


def _each(dockerfile: Dockerfile) -> Iterator[StageInstruction]:
    for stage in dockerfile.stages:
        yield from stage.instructions


def commands(dockerfile: Dockerfile) -> Iterator[Finding]:
    """JSONArgsRecommended."""
    for stage in dockerfile.stages:
        if any(isinstance(instruction, Shell) for instruction in stage.instructions):
            continue
        for instruction in stage.instructions:
            if isinstance(instruction, Cmd | Entrypoint) and isinstance(instruction.command, ShellForm):
                name = keyword(instruction)
                message = f"{name} runs in a shell, which keeps signals from the program"
                hint = f'write {name} ["…", "…"]'
                if _ARRAY.match(instruction.command.text):
                    message = f"{name} is no valid JSON array, so a shell runs it as it stands, brackets and all"
                    hint = f"{hint}: double quotes around each word, a comma between two, none after the last"
                yield Finding("JSONArgsRecommended", instruction, message, hint)


def repeated(dockerfile: Dockerfile) -> Iterator[Finding]:
    """MultipleInstructionsDisallowed: those that do not count are named."""
    for stage in dockerfile.stages:
        for kind in (Cmd, Entrypoint, Healthcheck):
            for ignored in [step for step in stage.instructions if isinstance(step, kind)][:-1]:
                name = keyword(ignored)
                message = f"another {name} follows in this stage, and only the last one counts"
                yield Finding("MultipleInstructionsDisallowed", ignored, message, "leave it out")


def legacy_pairs(dockerfile: Dockerfile) -> Iterator[Finding]:
    """LegacyKeyValueFormat."""
    for instruction in _each(dockerfile):
        if isinstance(instruction, Env | Label) and _is_legacy(instruction):
            name, key = keyword(instruction), instruction.pairs[0][0]
            message = f"{name} with a space between key and value"
            yield Finding("LegacyKeyValueFormat", instruction, message, f"write {name} {key}=…")


def maintainers(dockerfile: Dockerfile) -> Iterator[Finding]:
    """MaintainerDeprecated."""
    for instruction in _each(dockerfile):
        if isinstance(instruction, Maintainer):
            hint = "write LABEL org.opencontainers.image.authors=…"
            yield Finding("MaintainerDeprecated", instruction, f"{keyword(instruction)} is deprecated", hint)


def ports(dockerfile: Dockerfile) -> Iterator[Finding]:
    """ExposeProtoCasing, ExposeInvalidFormat."""
    for instruction in _each(dockerfile):
        for port in instruction.ports if isinstance(instruction, Expose) else ():
            number, _, protocol = port.partition("/")
            if protocol != protocol.lower() and "$" not in protocol:
                message = f"the protocol of {port} is not in lower case"
                yield Finding("ExposeProtoCasing", instruction, message, f"write {number}/{protocol.lower()}")
            if "$" not in port and _HOST_PORT.match(port):
                message = f"{port} has an address or a port of the host"
                yield Finding("ExposeInvalidFormat", instruction, message, "write the container's port alone")


def ignored_files(
    dockerfile: Dockerfile, is_ignored: Callable[[str], bool], *, hides_all: bool
) -> Iterator[Finding]:
    """CopyIgnoredFile."""
    hint = "except it there by a line that begins with !"
    for instruction in _each(dockerfile):
        if not isinstance(instruction, Copy | Add) or (isinstance(instruction, Copy) and instruction.from_):
            continue
        for source in instruction.sources:
            path = posixpath.normpath(source.strip("\"'")).lstrip("/")
            is_top = path in ("", ".")
            if "$" in path or _URL.match(source) or not (hides_all if is_top else is_ignored(path)):
                continue
            message = f".dockerignore excludes {'everything' if is_top else source}"
            yield Finding("CopyIgnoredFile", instruction, message, hint)


def _is_legacy(instruction: Env | Label) -> bool:
    words = instruction.source.split(maxsplit=2)
    return len(words) > 1 and "=" not in words[1] and words[1] not in ("\\", "`")
