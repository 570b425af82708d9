"""Which registries hold the layers of an image that was built here, so that a child image need not send them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from executor.image.digest import Digest
from executor.replacing import write_whole


class ImageSources:
    """One small file per image: layer digest to `registry/repository`."""

    def __init__(self, root: str) -> None:
        self._root = root

    def put(self, manifest: Digest, sources: Mapping[str, str]) -> None:
        """Remember the sources of the layers of `manifest`; layers without one are left out."""
        write_whole(self._path(manifest), json.dumps(dict(sources)).encode())

    def get(self, manifest: Digest) -> dict[str, str]:
        """The sources remembered for `manifest`, {} when there are none."""
        try:
            document = json.loads(Path(self._path(manifest)).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(digest): str(source) for digest, source in document.items()}

    def _path(self, manifest: Digest) -> str:
        return os.path.join(self._root, f"{manifest.hex}.json")
