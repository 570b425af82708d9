"""A builds file from disk to a RunConfig: read, fill in, check the shape, merge the defaults, check the rest.

The phases share one list of findings, so that a wrong file is reported whole: an entry that is sound is checked to
the end, although its neighbour is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from runner import schema, yamlfile
from runner.defaults import with_defaults, without_extensions
from runner.entry import Claim, Entry
from runner.findings import Findings
from runner.interpolate import interpolate
from runner.model import Overrides, RunConfig
from runner.setting import with_settings
from runner.yamlfile import Document

_TAKEN = {
    "name": "the name {value} is taken",
    "destination": "{value} is already a destination of the image {owner!r}",
    "output": "{value} is already written by the image {owner!r}",
}


def load(path: str, environment: Mapping[str, str], overrides: Overrides) -> RunConfig:
    """Read a builds file, `-` from standard input. Raises InvalidFileError with every fault it can find.

    Looks at the disk for contexts and Dockerfiles, and nowhere else.
    """
    findings = Findings()
    written = with_settings(without_extensions(yamlfile.read(path)), overrides.settings)
    document = interpolate(written, environment, findings)
    schema.check(document, findings)
    entries = list(_sound_entries(document, findings, os.path.dirname(os.path.abspath(path))))
    images = tuple(entry.image(overrides) for entry in entries)
    _check_unique(entries)
    findings.check()
    return RunConfig(file=path, images=images)


def _sound_entries(document: Document, findings: Findings, folder: str) -> Iterator[Entry]:
    """The entries without a fault so far, merged with the defaults."""
    value = document.value
    if not isinstance(value, dict) or not isinstance(value.get("builds"), list) or findings.touch(("defaults",)):
        return
    sound = [index for index in range(len(value["builds"])) if not findings.touch(("builds", index))]
    merged = with_defaults(document)
    for index in sound:
        yield Entry(merged, index, folder, findings)


def _check_unique(entries: list[Entry]) -> None:
    """No two images of one name, one destination or one output file."""
    taken: dict[tuple[str, str], tuple[Entry, Claim]] = {}
    for entry in entries:
        for claim in entry.claims():
            owner, first = taken.setdefault((claim.kind, claim.value), (entry, claim))
            if first is not claim:
                message = _TAKEN[claim.kind].format(value=entry.quote(claim.key), owner=owner.name)
                entry.note(claim.key, message, f"see line {owner.place(first.key).line}")
