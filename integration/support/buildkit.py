"""Today's BuildKit, wherever one runs: `buildctl` on PATH, the daemon that BUILDKIT_HOST names."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integration.support.builders import OCI_LAYOUT, Case
from integration.support.images import StoredImage, read_layout
from integration.support.programs import ProgramError, run
from integration.support.recipes import Node

_MARKED = re.compile(r"^\s*(\d+) \| >>> ", re.MULTILINE)
_FINAL = re.compile(r"^error: failed to solve: (.*)$", re.MULTILINE)
_OWN_NAMES = re.compile(r"ref \S+::\S+: |/\S+/buildkit\d+(?=/)")


class BuildKitFailure(ProgramError):  # noqa: N818  # a failure that is expected of many cases
    """A build that failed. `lines` are those of the Dockerfile that BuildKit marks, `reason` is its last word."""

    def __init__(self, printed: str) -> None:
        super().__init__(printed)
        self.lines = tuple(int(number) for number in _MARKED.findall(printed))
        reasons = _FINAL.findall(printed)
        self.reason = _OWN_NAMES.sub("", reasons[-1]) if reasons else printed.strip().splitlines()[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildKit:
    """A Builder by buildctl and the frontend that is built into the daemon."""

    def version(self) -> str:
        """The frontend's version."""
        return run(["buildctl", "debug", "info"]).partition("Dockerfile:")[2].split()[0]

    def build(self, case: Case, folder: Path, dockerfile: Path) -> StoredImage:
        """Build without cache and read the result from an OCI archive. Raises BuildKitFailure."""
        if (
            case.context
        ):  # files of an earlier one that are as large and as old would be taken for those of this one
            run(["buildctl", "prune", "--filter=type==source.local"])
        with tempfile.TemporaryDirectory() as scratch:
            words = ["buildctl", "build", "--progress=plain", "--no-cache", "--frontend=dockerfile.v0"]
            words += [f"--local=context={folder}", f"--local=dockerfile={dockerfile.parent}"]
            words += [f"--opt=filename={dockerfile.name}", f"--output=type=oci,dest={scratch}/image.tar"]
            done = subprocess.run(
                [*words, *_flags(case, folder.parent)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            if done.returncode != 0:
                raise BuildKitFailure(done.stdout)
            with tarfile.open(f"{scratch}/image.tar") as archive:
                archive.extractall(f"{scratch}/layout", filter="data")
            return read_layout(Path(scratch) / "layout")


def _flags(case: Case, folder: Path) -> list[str]:
    words = [f"--opt=build-arg:{name}={value}" for name, value in case.args.items()]
    words += [f"--opt=label:{name}={value}" for name, value in case.labels.items()]
    for name, value in case.contexts.items():
        words += _context_flags(name, value, folder / "contexts" / name)
    words += [f"--secret=id={name},src={folder}/secrets/{name}" for name in case.secrets]
    words += ["--ssh=default"] if case.ssh else []
    words += [f"--opt=platform={case.platform}"] if case.platform else []
    return words + ([f"--opt=target={case.target}"] if case.target else [])


def _context_flags(name: str, value: Mapping[str, Node] | str, folder: Path) -> list[str]:
    """As buildx translates `--build-context`: names in docker's short form, a layout's image by its digest."""
    name = re.sub(r"^docker\.io/(library/)?|:latest$", "", name)
    if not isinstance(value, str):
        return [f"--local={name}={folder}", f"--opt=context:{name}=local:{name}"]
    if value.startswith(OCI_LAYOUT):
        (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
        return [f"--oci-layout={name}={folder}", f"--opt=context:{name}={OCI_LAYOUT}{name}@{entry['digest']}"]
    return [f"--opt=context:{name}={value}"]
