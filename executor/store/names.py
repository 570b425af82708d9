"""What the names of base images stood for when they were last asked for: one small file a name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from executor.errors import ImageError
from executor.image.digest import Digest
from executor.replacing import write_whole

_SUFFIX = ".json"


class ImageNames:
    """Digests by reference. What cannot be read is not known."""

    def __init__(self, root: str) -> None:
        self._root = root

    def get(self, reference: str) -> Digest | None:
        """The digest that `reference` stood for, None when that is not known."""
        try:
            document = json.loads(Path(self._path(reference)).read_bytes())
            return Digest.parse(document["digest"]) if document["reference"] == reference else None
        except (OSError, ValueError, KeyError, TypeError, ImageError):
            return None

    def put(self, reference: str, digest: Digest) -> None:
        """Remember what `reference` stands for. Raises OSError."""
        write_whole(self._path(reference), json.dumps({"reference": reference, "digest": digest}).encode())

    def forget(self, is_there: Callable[[Digest], bool]) -> None:
        """Remove what is known of names whose image is not in the store any more. Raises OSError."""
        for entry in os.scandir(self._root):
            if not entry.name.endswith(_SUFFIX):
                continue  # somebody is writing it
            try:
                kept = is_there(Digest.parse(json.loads(Path(entry.path).read_bytes())["digest"]))
            except (OSError, ValueError, KeyError, TypeError, ImageError):
                kept = False
            if not kept:
                Path(entry.path).unlink(missing_ok=True)

    def _path(self, reference: str) -> str:
        return os.path.join(self._root, f"{hashlib.sha256(reference.encode()).hexdigest()}{_SUFFIX}")
