"""Layers of a stage: small ones at once, large ones while it goes on, in order and with their faults told."""

import os
import threading
from dataclasses import replace

import pytest

from executor.build.layers import layerwriter
from executor.build.layers.laterlayers import LaterLayers
from executor.build.layers.layerwriter import LayerWriter
from executor.build.layers.stagelayers import StageLayers
from executor.errors import StepError
from executor.events import LayerWritten
from executor.rootfs.base import AbandonedError
from executor.snapshot.changes import Change, Siblings
from executor.snapshot.entries import describe
from executor.store import Store

HELD = 10.0  # seconds; what is held up waits no longer for a test that fails


class Root:
    """A root that knows nothing but its changes; `lasting`: it can set them aside."""

    def __init__(self, *, lasting=True):
        self.lasting = lasting
        self.pending = []
        self.committed = []
        self.became = []

    def changes(self):
        return Pending(self.pending)

    def commit(self, layer):
        self.committed.append(layer)
        self.pending = []

    def set_aside(self, begin):
        if not self.lasting:
            return None
        aside = Aside(self, self.pending)
        self.pending = []
        return begin(aside)


class Pending:
    def __init__(self, changes):
        self.grouped = lambda: iter(changes)


class Aside:
    def __init__(self, root, changes):
        self.root, self.changes = root, changes

    def became(self, layer):
        self.root.became.append(layer)


def files(folder, count, size=10):
    """Changes: `count` new files."""
    changes = []
    for number in range(count):
        path = folder / f"{size}-{number:04}"
        path.write_bytes(b"x" * size)
        changes.append(Change(describe(str(path), path.name, path.lstat()), str(path)))
    return changes


def siblings(changes):
    """The same in rows of ten."""
    path = os.path.dirname(changes[0].content).encode()
    known = {change.entry.name.encode(): change for change in changes}
    names = list(known)
    return [Siblings(path, b"", names[at : at + 10], known.get) for at in range(0, len(names), 10)]


@pytest.fixture
def given(tmp_path):
    with Store.open(str(tmp_path / "home")) as store:
        given = Given(LayerWriter(store.blobs), tmp_path)
        yield given
        given.go_on.set()
        given.layers.later.close()


class Given:
    """The layers of a stage, whose writing can be held up by `hold`."""

    def __init__(self, writer, folder):
        self.told, self.ready, self.begun, self.folder = [], [], [], folder
        self.go_on = threading.Event()
        outlets = (self.ready.append, self.begun.append)
        self.layers = StageLayers(writer, self.told.append, *outlets, number=3, platform="linux/amd64")

    def hold(self, changes):
        """The changes, of which the last comes when `go_on` is set."""

        def held():
            yield from changes[:-1]
            assert self.go_on.wait(HELD)
            yield changes[-1]

        return held()


def test_a_small_layer_is_there_at_once(given):
    root = Root()
    root.pending = files(given.folder, 3)
    snapshot = given.layers.snapshot(root, 1)
    assert not snapshot.meanwhile
    assert root.committed == given.ready == [snapshot.layer.result()]
    assert list(given.layers.made()) == [(1, snapshot.layer.result())]
    assert list(given.layers.made()) == []


def test_no_changes_make_no_layer(given):
    root = Root()
    snapshot = given.layers.snapshot(root, 1)
    assert snapshot.layer.result() is None
    assert root.committed == [None]
    assert (given.told, given.ready, list(given.layers.made())) == ([], [], [])


@pytest.mark.parametrize(("count", "size"), [(64, 1), (2, 600_000)])
def test_a_large_layer_is_written_while_the_stage_goes_on(given, count, size):
    root = Root()
    root.pending = files(given.folder, count, size)
    aside = Aside(root, given.hold(root.pending))
    root.set_aside = lambda begin: begin(aside)
    large = given.layers.snapshot(root, 1)
    assert large.meanwhile
    root.pending = files(given.folder, 1)
    small = given.layers.snapshot(root, 2)
    assert small.layer.done()
    assert not large.layer.done()
    assert list(given.layers.made()) == [], "layers are taken in order"
    given.go_on.set()
    assert list(given.layers.made(wait=True)) == [(1, large.layer.result()), (2, small.layer.result())]
    assert root.became == [large.layer.result()]
    written = [event for event in given.told if isinstance(event, LayerWritten)]
    assert sorted((event.position, event.meanwhile) for event in written) == [(1, True), (2, False)]
    assert given.ready == [small.layer.result(), large.layer.result()]


@pytest.mark.parametrize("lasting", [True, False])
def test_a_layer_that_is_larger_still_is_handed_on_before_it_is_written(given, monkeypatch, lasting):
    monkeypatch.setattr(layerwriter, "LARGE", 0)
    root = Root(lasting=lasting)
    root.pending = files(given.folder, 64)
    layer = given.layers.snapshot(root, 1).layer.result()
    assert [blob.digest for blob in given.begun] == [layer.descriptor.digest]


def test_it_is_the_layer_that_is_made_at_once_where_nothing_can_be_set_aside(given):
    changes = files(given.folder, 100)
    made = []
    for lasting in (True, False):
        root = Root(lasting=lasting)
        root.pending = list(changes)
        made.append(given.layers.snapshot(root, 1))
    assert [snapshot.meanwhile for snapshot in made] == [True, False]
    assert made[0].layer.result() == made[1].layer.result()


@pytest.mark.parametrize("count", [3, 100])
def test_files_in_rows_make_the_same_layer(given, count):
    changes = files(given.folder, count)
    made = []
    for pending in (changes, siblings(changes)):
        root = Root(lasting=False)
        root.pending = pending
        made.append(given.layers.snapshot(root, 1).layer.result())
        root.pending = pending
        made.append(given.layers.whole(root))
    assert made[0]
    assert made == [made[0]] * 4


@pytest.mark.parametrize(("count", "size", "meanwhile"), [(20, 10, False), (64, 10, True), (2, 600_000, True)])
def test_files_in_rows_are_as_large_as_by_themselves(given, count, size, meanwhile):
    root = Root()
    root.pending = siblings(files(given.folder, count, size))
    assert given.layers.snapshot(root, 1).meanwhile == meanwhile


def test_what_keeps_a_layer_from_being_written_is_raised_later(given):
    changes = files(given.folder, 100)
    changes[50] = replace(changes[50], entry=replace(changes[50].entry, size=11))
    root = Root()
    root.pending = changes
    given.layers.snapshot(root, 1)
    with pytest.raises(StepError, match="/10-0050 changed its size"):
        given.layers.later.wait()
    with pytest.raises(StepError):
        list(given.layers.made(wait=True))
    assert given.ready == []


def test_a_layer_nobody_wants_any_more_ends_early(given):
    root = Root()
    root.pending = files(given.folder, 3, 600_000)
    aside = Aside(root, given.hold(root.pending))
    root.set_aside = lambda begin: begin(aside)
    layer = given.layers.snapshot(root, 1).layer
    threading.Timer(0.1, given.go_on.set).start()
    given.layers.later.close()
    assert isinstance(layer.exception(), AbandonedError)
    assert given.ready == []


class TestLaterLayers:
    def test_work_for_afterwards_is_done_at_once_when_nothing_is_under_way(self):
        later, did = LaterLayers(), []
        later.then(lambda: did.append(threading.current_thread()))
        assert did == [threading.current_thread()]

    def test_else_it_waits_for_what_is(self):
        later, go_on, did = LaterLayers(), threading.Event(), []
        first = later.begin(lambda: go_on.wait(HELD) and did.append("layer"))
        later.then(lambda: (first.result(), did.append("cache")))
        assert did == []
        go_on.set()
        later.wait()
        assert did == ["layer", "cache"]
        later.close()

    def test_failures_are_raised_by_the_next_who_asks(self):
        def fail():
            raise StepError("broken")

        later = LaterLayers()
        later.begin(fail)
        later.close()
        later = LaterLayers()
        future = later.begin(fail)
        assert future.exception()
        with pytest.raises(StepError):
            later.raise_failure()
        later.raise_failure()
        later.close()
