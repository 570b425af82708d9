"""What decides a step's layer, as one document, and the key that is its digest.

    key = SHA-256 of canonical JSON {"version", "parent", "step", ...fields of the step}

A step is keyed before it runs, by what it reads and not by what it makes; `parent` is the key of the step before
it. Instructions that change only the configuration have no key: what a later step sees of them is in its own
document. Values of variables enter as digests, so that a published document gives none away. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from executor.dataclass import dataclass
from executor.image.digest import Digest
from executor.image.platform import Platform

VERSION = 1


@dataclass(frozen=True, slots=True)
class CacheKey:
    """A key: `hex` is 64 digits, `document` the canonical JSON that it is the SHA-256 of."""

    hex: str
    document: str

    @classmethod
    def of(cls, parent: CacheKey | None, step: str, **fields: Any) -> CacheKey:
        """The key of a step of the kind `step` after `parent`; `fields` are JSON values."""
        facts = {"version": VERSION, "parent": parent.hex if parent else "", "step": step, **fields}
        document = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return cls(hashlib.sha256(document.encode()).hexdigest(), document)

    def fields(self) -> dict[str, Any]:
        """The document as JSON values."""
        fields: dict[str, Any] = json.loads(self.document)
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRules:
    """How layers are written, where that changes their content.

    `squashed`: everything belongs to 0:0, because the build may give nothing away. `epoch` is the latest time
    of a file, in seconds, None for no limit.
    """

    squashed: bool = False
    reproducible: bool = False
    epoch: int | None = None
    snapshot_mode: str = "full"
    single_snapshot: bool = False
    ignore_paths: tuple[str, ...] = ()


def base_key(platform: Platform, diff_ids: Sequence[Digest], rules: LayerRules) -> CacheKey:
    """Where a stage starts: the files of its base, that is its diff IDs (none for scratch), and the layer rules.

    The diff IDs and not the image's digest, which changes with its creation time and labels too.
    """
    return CacheKey.of(
        None,
        "base",
        platform=str(platform),
        diff_ids=[str(diff_id) for diff_id in diff_ids],
        rules={
            "squashed": rules.squashed,
            "reproducible": rules.reproducible,
            "epoch": rules.epoch,
            "snapshot_mode": rules.snapshot_mode,
            "single_snapshot": rules.single_snapshot,
            "ignore_paths": sorted(rules.ignore_paths),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a RUN runs and what the command can see.

    `argv` has SHELL in it, `scripts` maps paths to heredocs that become files. `environment` holds ENV and the
    declared ARGs; proxies given as build arguments are in it only if declared. `flags` are those that are written,
    mounts with what is in them.
    """

    argv: tuple[str, ...]
    scripts: Mapping[str, bytes]
    environment: Mapping[str, str]
    cwd: str
    user: str
    flags: Mapping[str, Any]


def run_key(parent: CacheKey, command: Command) -> CacheKey:
    """A RUN."""
    return CacheKey.of(
        parent,
        "run",
        argv=list(command.argv),
        scripts={path: hashlib.sha256(content).hexdigest() for path, content in command.scripts.items()},
        environment=value_digests(command.environment),
        cwd=command.cwd,
        user=command.user,
        flags={name: value for name, value in command.flags.items() if value},
    )


def workdir_key(parent: CacheKey, *, path: str, user: str) -> CacheKey:
    """A WORKDIR, which makes the directory `path` where it is missing."""
    return CacheKey.of(parent, "workdir", path=path, user=user)


def value_digests(variables: Mapping[str, str]) -> dict[str, str]:
    """Each variable's value as a SHA-256 in hex."""
    return {
        name: hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        for name, value in variables.items()
    }


def copy_key(
    parent: CacheKey,
    step: str,
    *,
    inputs: Sequence[Mapping[str, Any]],
    flags: Mapping[str, Any],
    destination: str,
    cwd: str,
) -> CacheKey:
    """A COPY or an ADD. `inputs` say what each source is and what is in it, `flags` the flags that are written.

    Names in --chown mean what the parent's files say, so their text is enough.
    """
    return CacheKey.of(
        parent,
        step,
        inputs=[dict(source) for source in inputs],
        flags={name: value for name, value in flags.items() if value},
        destination=destination,
        cwd=cwd,
    )


def after(parent: str, key: CacheKey, *, inputs: Sequence[Mapping[str, Any]] | None = None) -> CacheKey:
    """The key of the same step after another `parent` (64 hex digits), and with other `inputs` if given."""
    fields = key.fields()
    if fields["parent"] == parent and inputs is None:
        return key
    changed = {} if inputs is None else {"inputs": [dict(source) for source in inputs]}
    document = json.dumps({**fields, "parent": parent, **changed}, sort_keys=True, separators=(",", ":"))
    return CacheKey(hashlib.sha256(document.encode()).hexdigest(), document)
