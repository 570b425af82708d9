"""What an earlier run left in its folder of reports: what became of each image, and of what it was built."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from executor.dataclass import dataclass
from executor.errors import UsageError

KEYS = "keys"
"""The folder of the keys, a file for each image, below that of the reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierImage:
    """An image of an earlier run. `inputs` digests what it was built of, '' if that is not known.

    `entry` is what result.json says of it.
    """

    status: str
    inputs: str
    digest: str
    size: int
    pushed: tuple[str, ...]
    entry: Mapping[str, Any]


def read_earlier(folder: str) -> Mapping[str, EarlierImage] | None:
    """The images by name, by `result.json` in `folder`; None when there is none. Raises UsageError."""
    path = os.path.join(folder, "result.json")
    try:
        document = json.loads(Path(path).read_bytes())
        return {name: _image(entry) for name, entry in document["images"].items()}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: {os.strerror(error.errno or 0)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = "name the --report-dir of an earlier run"
        raise UsageError(f"{path} is not a report of this version of krunner", hint=hint) from error


def read_keys(folder: str, name: str) -> Mapping[str, Any]:
    """The steps of an image by their keys, as InputsFound told them; none when they are not there."""
    try:
        steps = json.loads(Path(folder, KEYS, f"{name}.json").read_bytes())["steps"]
        return {str(key): dict(step) for key, step in steps.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _image(entry: Mapping[str, Any]) -> EarlierImage:
    return EarlierImage(
        status=str(entry["status"]),
        inputs=str(entry["inputs"]),
        digest=str(entry["digest"]),
        size=int(entry["size"]),
        pushed=tuple(map(str, entry["pushed"])),
        entry=entry,
    )
