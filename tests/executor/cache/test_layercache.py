"""The cache never fails: what goes wrong is a miss and a warning, told once; what is made is found again."""

import dataclasses
import io
import itertools
import threading

import pytest

from executor.cache.entry import EMPTY_BLOB
from executor.cache.layercache import PATIENCE, LayerCache
from executor.errors import ImageError, RegistryError, StoppedError
from executor.events import Noted, Warned
from executor.image.formats import DOCKER, OCI
from executor.image.mediatypes import OCI_LAYER_ZSTD
from tests.executor.cache.conftest import entry_of

NOW = 2_000_000


class FakePlace:
    """A place in memory; `fails` is raised by every call."""

    def __init__(self, name="place", fails=None):
        self.name = name
        self.fails = fails
        self.entries = {}
        self.asked = []
        self.written = {}

    def get(self, key):
        self.asked.append(key)
        if self.fails:
            raise self.fails
        return self.entries.get(key)

    def put(self, key, image, open_layer):
        with open_layer() as stream:
            content = stream.read()
        self.asked.append(key)
        if self.fails:
            raise self.fails
        self.written[key] = (image, content)


@pytest.fixture
def told():
    return []


@pytest.fixture
def cache_of(told):
    made = []

    def cache_of(*sources, targets=(), ttl=1e9, image_format=OCI):
        made.append(
            LayerCache(sources, targets, told.append, ttl=ttl, image_format=image_format, clock=lambda: NOW)
        )
        return made[-1]

    yield cache_of
    for cache in made:
        cache.close()


def warnings(told):
    return [event.message for event in told if isinstance(event, Warned)]


def holding(*entries, name="place"):
    place = FakePlace(name)
    place.entries = {entry.key: entry for entry in entries}
    return place


def opened(_layer):
    return io.BytesIO(b"bytes")


def test_the_first_place_that_has_it_wins(cache_of, layer):
    entry, other = entry_of(layer), entry_of(layer, upon="other")
    empty, first, second = FakePlace("empty"), holding(entry, name="first"), holding(other, name="second")
    found = cache_of(empty, first, second).get(entry.key)
    assert (found.entry, found.place) == (entry, "first")
    assert (len(empty.asked), len(second.asked)) == (1, 0)


def test_a_key_is_looked_up_once(cache_of, layer):
    entry = entry_of(layer)
    place = holding(entry)
    cache = cache_of(place)
    cache.prefetch(entry.key)
    assert cache.get(entry.key).entry == cache.get(entry.key).entry == entry
    assert cache.get("unknown") is None
    assert len(place.asked) == 2


def test_look_ups_run_side_by_side(cache_of):
    barrier = threading.Barrier(4, timeout=10)

    class Slow(FakePlace):
        def get(self, key):
            barrier.wait()
            return super().get(key)

    cache = cache_of(Slow())
    for number in range(4):
        cache.prefetch(str(number))
    assert [cache.get(str(number)) for number in range(4)] == [None] * 4


@pytest.mark.parametrize(
    ("ttl", "age", "found"), [(100, 99, True), (100, 100, True), (100, 101, False), (0, 1, False)]
)
def test_age(cache_of, told, layer, ttl, age, found):
    entry = entry_of(layer, created=NOW - age)
    assert (cache_of(holding(entry), ttl=ttl).get(entry.key) is not None) == found
    assert ["has expired" in text for text in warnings(told)] == ([] if found else [True])


def test_an_expired_entry_does_not_hide_a_fresh_one(cache_of, layer):
    old, new = entry_of(layer, created=0), entry_of(layer, created=NOW)
    assert cache_of(holding(old), holding(new, name="b"), ttl=10).get(old.key).place == "b"


def test_a_layer_in_another_compression_serves_where_the_image_can_have_it(cache_of, told, layer):
    zstd = dataclasses.replace(layer, descriptor=dataclasses.replace(layer.descriptor, media_type=OCI_LAYER_ZSTD))
    entry, usable = entry_of(zstd), entry_of(layer)
    assert cache_of(holding(entry)).get(entry.key).entry == entry
    assert cache_of(holding(entry), holding(usable), image_format=DOCKER).get(entry.key).entry == usable
    assert [entry.key in text and "a docker image cannot have" in text for text in warnings(told)] == [True]


def test_a_damaged_entry_is_a_miss_and_the_place_goes_on(cache_of, told, layer):
    place = FakePlace(fails=ImageError("it is no good"))
    cache = cache_of(place)
    assert cache.get("1") is None
    assert cache.get("2") is None
    assert warnings(told) == [f"the cached layer place:{key} cannot be used: it is no good" for key in "12"]


@pytest.mark.parametrize("error", [RegistryError("down"), OSError(13, "Permission denied", "/cache")])
def test_a_place_that_cannot_be_read_is_warned_of_once_and_left_alone(cache_of, told, layer, error):
    place, other = FakePlace(fails=error), holding(entry_of(layer), name="other")
    cache = cache_of(place, other)
    assert cache.get(entry_of(layer).key).place == "other"
    for number in range(20):
        assert cache.get(str(number)) is None
    assert len(place.asked) == 1
    (warning,) = warnings(told)
    assert "cannot be read" in warning


def test_what_is_made_is_found_and_written_everywhere(cache_of, told, layer):
    places = [FakePlace("a"), FakePlace("b")]
    cache = cache_of(targets=places)
    for entry in (entry_of(layer), entry_of(None, name="empty")):
        cache.put(entry, opened)
        assert cache.get(entry.key).entry == entry
    cache.close()
    for place in places:
        assert place.written[entry_of(layer).key][1] == b"bytes"
        assert place.written[entry_of(None, name="empty").key][1] == EMPTY_BLOB
        assert len(place.written) == 2
    assert sum(isinstance(event, Noted) for event in told) == 4


@pytest.mark.parametrize(
    "error", [RegistryError("denied", status=403), OSError(28, "No space left", "/c"), ImageError("x")]
)
def test_a_place_that_cannot_be_written(cache_of, told, layer, error):
    broken, good = FakePlace("broken", fails=error), FakePlace("good")
    cache = cache_of(targets=[broken, good])
    for number in range(5):
        cache.put(entry_of(layer, name=str(number)), opened)
    cache.close()
    assert len(good.written) == 5
    (warning,) = warnings(told)
    assert "broken cannot be written" in warning


def test_being_stopped_is_no_fault_of_a_place(cache_of, told, layer):
    cache = cache_of(targets=[FakePlace(fails=StoppedError(15))])
    cache.put(entry_of(layer), opened)
    cache.close(hurry=True)
    assert warnings(told) == []


def test_what_was_made_anew_is_not_lost_with_what_the_cache_had(cache_of, layer):
    entry = entry_of(layer)
    cache = cache_of(holding(entry))
    assert cache.get(entry.key).place == "place"
    cache.put(entry, opened)
    assert cache.lose({layer.descriptor.digest}) == []
    assert cache.get(entry.key).entry == entry


def test_one_wait_that_is_too_long_is_the_last(cache_of, told, monkeypatch):
    waits = []

    class Never:
        def result(self, timeout):
            waits.append(timeout)
            raise TimeoutError

    cache = cache_of()
    monkeypatch.setattr(cache, "_future", lambda _key: Never())
    assert [cache.get(key) for key in "abc"] == [None] * 3
    assert waits == [PATIENCE, 0, 0]
    (warning,) = warnings(told)
    assert "does not answer within 30 s" in warning


def test_lost_layers_are_given_no_more(cache_of, layer):
    entry, other = entry_of(layer), entry_of(None, name="other")
    cache = cache_of(holding(entry, other))
    assert cache.get(entry.key)
    assert cache.get(other.key)
    assert cache.lose(set()) == []
    assert cache.lose({layer.descriptor.digest}) == [f"place:{entry.key}"]
    assert cache.get(entry.key) is None
    assert cache.get(other.key) is not None
    assert cache.lose({layer.descriptor.digest}) == [], "a second failure is not the cache's"
    cache.put(entry, opened)
    assert cache.get(entry.key).entry == entry, "made anew"


def test_layers_are_lost_while_other_stages_look_up(cache_of, layer):
    cache = cache_of(holding(entry_of(layer)))
    over = threading.Event()

    def look_up():
        for number in itertools.count():
            if over.is_set():
                return
            cache.prefetch(f"{number:064x}")

    for number in range(2000):
        cache.prefetch(f"before {number}")
    thread = threading.Thread(target=look_up)
    thread.start()
    try:
        for _ in range(20):
            cache.lose({layer.descriptor.digest})
    finally:
        over.set()
        thread.join()
