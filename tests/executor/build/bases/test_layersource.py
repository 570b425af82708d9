"""What a download leaves behind when the disk fails it: nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.build.bases.layersource import LayerSource
from executor.build.stopping import StopFlag
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER
from executor.store import Store

CONTENT = b"layer"
LAYER = Layer(
    descriptor=Descriptor.of(OCI_LAYER, CONTENT), diff_id=Digest.of(CONTENT), source="registry.example/team/app"
)


class Registry:
    """A client with one stream for every blob."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream

    def open_blob(self, _repository: str, _descriptor: Descriptor) -> io.BytesIO:
        return self.stream


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "store")) as store:
        yield store


def test_a_disk_that_takes_no_file_ends_the_transfer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_checked: Digest | None) -> None:
        raise OSError(28, "No space left on device")

    registry = Registry(io.BytesIO(CONTENT))
    monkeypatch.setattr(store.blobs, "writer", refuse)
    with pytest.raises(OSError, match="No space"):
        LayerSource(store.blobs, registry, StopFlag()).ensure(LAYER)
    assert registry.stream.closed
