"""What today's BuildKit makes of the cases, kept in the repository: `recorded/GROUP.json`, a case a line.

Of a tree only what differs from its base image is kept, so that bases may change with the machine. Times that are
the build's own are left out. `python -m integration.differential.record` makes the files.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from integration.differential.outcomes import BuiltImage, Failure, Outcome
from integration.support.bases import all_archives, base_name
from integration.support.builders import Case
from integration.support.compare import CONFIG_FIELDS, PLATFORM_FIELDS, RECENT
from integration.support.flatten import Entry, Tree, flatten, link_groups
from integration.support.images import StoredImage, read_docker_archive

FOLDER = Path(__file__).parent / "recorded"
_PLAIN = asdict(Entry(kind=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file: which BuildKit it was, and a JSON document for each case by name."""

    buildkit: Mapping[str, str]
    cases: Mapping[str, Mapping[str, Any]]

    def outcome(self, case: Case) -> Outcome:
        """What to expect of a case. Raises LookupError when it was changed after it was recorded."""
        document = self.cases.get(case.name, {})
        if document.get("key") != key(case):
            raise LookupError(f"{case.name} is not recorded as it is: python -m integration.differential.record")
        if "fails" in document:
            return Failure(lines=tuple(document["lines"]), message=document["fails"])
        history = [{"empty_layer": sign == "-"} for sign in document["history"]]
        platform = document.get("platform") or _machine()
        config = {"config": document["config"], "history": history, **platform}
        return BuiltImage(tree=_restored(document), config=config)


def key(case: Case) -> str:
    """A name that changes with all that the case says, and with nothing else."""
    shown = (field.name for field in fields(case) if field.name not in ("equivalent", "newer"))
    said = {name: value for name in shown if (value := getattr(case, name))}
    return hashlib.sha256(repr(sorted(said.items())).encode()).hexdigest()[:16]


def read(group: str) -> Recording:
    """The recording of a group of cases."""
    file = FOLDER / f"{group}.json"
    document = json.loads(file.read_text()) if file.exists() else {"buildkit": {}, "cases": {}}
    return Recording(buildkit=document["buildkit"], cases=document["cases"])


def write(group: str, recording: Recording) -> None:
    """Write a group's file, one case a line."""
    rows = (f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(recording.cases.items()))
    head = json.dumps(dict(recording.buildkit))
    (FOLDER / f"{group}.json").write_text(f'{{"buildkit": {head}, "cases": {{\n' + ",\n".join(rows) + "\n}}\n")


def document(case: Case, image: StoredImage | Failure) -> dict[str, Any]:
    """What is kept of a case."""
    if isinstance(image, Failure):
        return {"key": key(case), "fails": image.message, "lines": list(image.lines)}
    base = _base_of(image)
    run = image.config.get("config") or {}
    history = image.config.get("history") or []
    platform = {name: image.config[name] for name in PLATFORM_FIELDS if image.config.get(name)}
    return {
        "key": key(case),
        "base": base,
        **({"platform": platform} if case.platform or platform != _machine() else {}),
        **_difference(flatten(image), _base_tree(base)),
        "config": {name: run[name] for name in CONFIG_FIELDS if run.get(name)},
        "history": "".join("-" if entry.get("empty_layer") else "L" for entry in history),
    }


def _base_of(image: StoredImage) -> str:
    """The base image with the most layers among those whose layers the image begins with, or ''."""
    ours = image.config["rootfs"]["diff_ids"] or []
    layers = {name: base.config["rootfs"]["diff_ids"] for name, base in _bases().items()}
    fitting = [name for name, ids in layers.items() if ours[: len(ids)] == ids]
    return max(fitting, key=lambda name: (len(layers[name]), name == "busybox"), default="")


@functools.cache
def _bases() -> Mapping[str, StoredImage]:
    return {base_name(archive): read_docker_archive(archive) for archive in all_archives()}


@functools.cache
def _base_tree(base: str) -> Tree:
    return flatten(_bases()[base]) if base else {}


def _machine() -> dict[str, str]:
    return {"architecture": _bases()["busybox"].config["architecture"], "os": "linux"}


def _difference(tree: Tree, base: Tree) -> dict[str, Any]:
    groups, base_groups = link_groups(tree), link_groups(base)
    rows = {
        groups.get(path, (path,)): _compact(entry)
        for path, entry in tree.items()
        if base.get(path) != entry or groups.get(path) != base_groups.get(path)
    }
    gone = sorted(base.keys() - tree.keys())
    return {
        "tree": [[list(paths), row] for paths, row in sorted(rows.items())],
        **({"gone": gone} if gone else {}),
    }


def _compact(entry: Entry) -> dict[str, Any]:
    timeless = entry.kind == "dir" or entry.mtime >= RECENT
    values = {name: value for name, value in asdict(entry).items() if value != _PLAIN[name] and name != "mtime"}
    return values if timeless else {**values, "mtime": entry.mtime}


def _restored(document: Mapping[str, Any]) -> Tree:
    base = _base_tree(document["base"])
    tree = {path: entry for path, entry in base.items() if path not in document.get("gone", ())}
    for paths, values in document["tree"]:
        entry = Entry(**{"mtime": RECENT, **values, "device": tuple(values.get("device", (0, 0)))})
        tree.update(dict.fromkeys(paths, entry))
    return tree
