"""Stores, layers and entries to cache, and a registry to cache them in."""

from collections.abc import Iterator

import pytest

from executor.cache.entry import Entry
from executor.cache.key import CacheKey
from executor.image.layer import Layer
from executor.image.platform import Platform
from executor.store import Store
from tests.support.fake_registry import FakeRegistry
from tests.support.images import SmallImage, small_image


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "home")) as store:
        yield store


@pytest.fixture
def image() -> SmallImage:
    """An image whose first layer is what the entries of these tests hold."""
    return small_image()


@pytest.fixture
def layer(image) -> Layer:
    from executor.image.config import config_from_bytes

    return Layer(descriptor=image.manifest.layers[0], diff_id=config_from_bytes(image.config).diff_ids[0])


def entry_of(layer: Layer | None, *, name: str = "x", upon: str = "", created: int = 1_000_000) -> Entry:
    key = CacheKey.of(None, "test", name=name)
    return Entry(
        key=key.hex, document=key.document, layer=layer, upon=upon, created=created,
        platform=Platform("linux", "amd64"), created_by="RUN x",
    )  # fmt: skip
