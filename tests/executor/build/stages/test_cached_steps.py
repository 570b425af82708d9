"""The steps of a stage beside the cache: what is looked up, what serves, and what is kept under which keys."""

from concurrent.futures import Future

import pytest

from executor.build.stages.cachedsteps import CacheAccess, CachedSteps, KeyedStep, StageKeys
from executor.cache.key import CacheKey, copy_key, workdir_key
from executor.cache.layercache import Found
from executor.dockerfile.instructions import Run
from executor.dockerfile.parser import parse
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.mediatypes import OCI_LAYER_GZIP
from executor.image.platform import Platform
from executor.spec import CacheOptions

START = CacheKey.of(None, "base")
MADE_AT = 1_800_000_000
PLATFORM = Platform("linux", "amd64")
STEPS = """
RUN make
COPY main /main
COPY --from=build /out /out
WORKDIR /here
RUN test
"""
RUN, COPY, COPY_FROM, WORKDIR, TEST = range(5)


def layer(name):
    digest = Digest.of(name.encode())
    return Layer(descriptor=Descriptor(OCI_LAYER_GZIP, digest, 1), diff_id=digest)


def result(made):
    future = Future()
    future.set_result(made)
    return future


class FakeCache:
    """Entries in memory, as LayerCache keeps them, and what was asked for."""

    def __init__(self):
        self.entries = {}
        self.asked = []
        self.prefetched = []

    def get(self, key):
        self.asked.append(key)
        return Found(entry=self.entries[key], place="place") if key in self.entries else None

    def prefetch(self, key):
        self.prefetched.append(key)

    def put(self, entry, _open_blob):
        self.entries[entry.key] = entry


def keys(build="1", *, main="a", known=5, whole=None, goes_on=False):
    """The keys of STEPS where the stage `build` has the key `build`; of the first `known` steps alone."""
    steps = parse(f"FROM scratch\n{STEPS}").stages[0].instructions
    made = [CacheKey.of(START, "run", argv=["make"])]
    made.append(copy_key(made[-1], "copy", inputs=[{"file": main}], flags={}, destination="/main", cwd="/"))
    sources = [{"from": build, "sources": ["/out"]}]
    made.append(copy_key(made[-1], "copy", inputs=sources, flags={}, destination="/out", cwd="/"))
    made.append(workdir_key(made[-1], path="/here", user=""))
    made.append(CacheKey.of(made[-1], "run", argv=["test"]))
    planned = [
        KeyedStep(step=s, key=k if n < known else None) for n, (s, k) in enumerate(zip(steps, made, strict=True))
    ]
    final = made[-1] if known == len(made) else None
    return StageKeys(
        steps=tuple(planned), start=START.hex, final=final, whole=whole, goes_on=goes_on, platform=PLATFORM
    )


@pytest.fixture
def cache():
    return FakeCache()


class Walk:
    """Goes through the steps as a stage does: what no entry serves is carried out."""

    def __init__(self, cache, planned=None, *, base=None, copied="files", upon="", **options):
        options = {"copy_layers": True, **options}
        self.told = []
        access = CacheAccess(
            cache=cache,
            options=CacheOptions(enabled=True, **options),
            open_blob=None,
            upon_of=lambda step: "" if isinstance(step, Run) or not getattr(step, "from_", "") else upon,
            sink=self.told.append,
        )
        self.planned = planned or keys()
        self.steps = CachedSteps(self.planned, access, base=base)
        self.copied = copied
        self.copies = 0

    def contents(self):
        self.copies += 1
        return [{"directory": self.copied}] if self.copied else None

    def go(self, made="", steps=None):
        """The hits, step by step; what is carried out makes a layer that is called like it and `made`."""
        hits = []
        for number, planned in enumerate(self.planned.steps[:steps]):
            found = self.steps.look_up(planned.step, self.contents)
            hits.append(found is not None)
            if not found:
                name = f"{number}{made}" if isinstance(planned.step, Run) else str(number)
                self.steps.keep(planned.step, result(layer(name)), MADE_AT)()
        return hits


def test_what_was_kept_serves_the_next_time(cache):
    assert Walk(cache).go() == [False] * 5
    again = Walk(cache)
    assert again.go() == [True] * 5
    assert [(event.instruction, event.hit, event.place) for event in again.told] == [
        (text, True, "place") for text in STEPS.strip().splitlines()
    ]
    assert again.copies == 0, "what is copied is not looked at"
    entry = cache.entries[keys().steps[RUN].key.hex]
    assert (entry.document, entry.created_by, entry.platform) == (
        keys().steps[RUN].key.document,
        "RUN make",
        PLATFORM,
    )
    assert entry.layer == layer("0")
    assert entry.created == MADE_AT


@pytest.mark.parametrize(
    ("options", "cached"),
    [({"copy_layers": False}, [RUN, WORKDIR, TEST]), ({"run_layers": False}, [COPY, COPY_FROM, WORKDIR])],
)
def test_instructions_that_are_not_cached(cache, options, cached):
    """They are neither looked up nor kept, by their second keys neither."""
    Walk(cache).go()
    full = dict(cache.entries)
    walk = Walk(cache, keys(), **options)
    cache.asked.clear()
    assert walk.go() == [number in cached for number in range(5)]
    assert len(walk.told) == len(cached)
    uncached = {step.key.hex for number, step in enumerate(keys().steps) if number not in cached}
    assert not uncached & set(cache.asked)
    empty = FakeCache()
    Walk(empty, keys(), **options).go()
    assert not uncached & set(empty.entries)
    changed = Walk(cache, keys("2"), **options)
    assert not changed.go()[COPY_FROM] or "copy_layers" not in options
    assert set(full) <= set(cache.entries)


def test_a_stage_that_is_built_anew_with_the_same_files(cache):
    Walk(cache, keys("1")).go()
    walk = Walk(cache, keys("2"))
    assert walk.go() == [True] * 5
    assert walk.copies == 1
    assert [event.hit for event in walk.told] == [True] * 5
    again = Walk(cache, keys("2"))
    assert again.go() == [True] * 5
    assert again.copies == 0, "it has the first keys of this build too"
    assert Walk(cache, keys("3"), copied="other files").go() == [True, True, False, False, False]
    assert Walk(cache, keys("4"), copied="").go() == [True, True, False, False, False], (
        "what is copied is not known"
    )


def test_entries_name_their_second_key_where_they_copy(cache):
    Walk(cache, keys("1")).go()
    entries = {number: cache.entries[step.key.hex] for number, step in enumerate(keys("1").steps)}
    assert [bool(entries[number].content) for number in range(5)] == [False, False, True, False, False]
    other = cache.entries[entries[COPY_FROM].content]
    assert (other.layer, other.content) == (entries[COPY_FROM].layer, "")
    assert len(cache.entries) == 5 + 3, "one more for the copy and each step behind it"


def test_a_run_that_makes_something_else_makes_what_is_behind_it_anew(cache):
    Walk(cache).go(made="x")
    del cache.entries[keys().steps[RUN].key.hex]
    assert Walk(cache).go(made="y") == [False] * 5, "layers of two runs are never mixed"
    del cache.entries[keys().steps[RUN].key.hex]
    assert Walk(cache).go(made="y") == [False, True, True, True, True], "it repeats what it made"


def test_what_was_made_of_another_stages_run_does_not_serve(cache):
    """But where it copies the same files, what is behind the copy does."""
    Walk(cache, upon="one").go()
    assert Walk(cache, upon="two", copied="others").go() == [True, True, False, False, False]
    assert Walk(cache, upon="two", copied="others").go() == [True] * 5
    assert Walk(cache, upon="three", copied="files").go() == [True] * 5


def test_a_run_that_is_passed_over_leaves_nothing_known(cache):
    Walk(cache).go()
    walk = Walk(cache)
    walk.steps.skip(walk.planned.steps[RUN].step)
    assert walk.steps.look_up(walk.planned.steps[RUN].step, walk.contents) is None
    walk = Walk(cache)
    walk.steps.skip(walk.planned.steps[COPY].step)
    assert walk.go() == [True] * 5


@pytest.mark.parametrize("known", range(5))
def test_steps_without_keys(cache, known):
    Walk(cache).go()
    walk = Walk(cache, keys(known=known))
    assert walk.go() == [number < known for number in range(5)]
    assert len(walk.told) == known
    assert walk.steps.expects_root()


def test_a_stage_on_a_stage_goes_on_where_that_ended(cache):
    below = Walk(cache)
    below.go()
    other = Walk(cache, base=below.steps)
    assert other.steps.upon.text == below.steps.upon.text != ""
    assert other.steps.content.parent == below.steps.content.parent


def test_whether_something_has_to_be_carried_out(cache):
    assert Walk(cache).steps.expects_root()
    Walk(cache).go()
    assert not Walk(cache).steps.expects_root()
    assert Walk(cache, copy_layers=False).steps.expects_root()
    assert Walk(cache, run_layers=False).steps.expects_root()
    del cache.entries[keys().steps[TEST].key.hex]
    assert Walk(cache).steps.expects_root()


@pytest.mark.parametrize("goes_on", [False, True])
def test_copied_files_are_looked_at_only_where_an_entry_could_serve(cache, goes_on):
    """Reading them may be unpacking them."""
    walk = Walk(cache, keys(goes_on=goes_on), copy_layers=False, run_layers=False)
    walk.go(steps=COPY_FROM + 1)
    assert walk.copies == 1, "a WORKDIR is behind it"
    short = keys(goes_on=goes_on)
    short = StageKeys(
        steps=short.steps[: COPY_FROM + 1],
        start=short.start,
        final=short.final,
        goes_on=goes_on,
        platform=PLATFORM,
    )
    walk = Walk(cache, short, copy_layers=False, run_layers=False)
    walk.go()
    assert walk.copies == int(goes_on)


def test_keys_are_looked_up_before_they_are_needed(cache):
    walk = Walk(cache)
    walk.steps.prefetch()
    assert cache.prefetched == [step.key.hex for step in keys().steps]
    cache.prefetched.clear()
    Walk(cache, copy_layers=False).steps.prefetch()
    assert cache.prefetched == [keys().steps[number].key.hex for number in (RUN, WORKDIR, TEST)]
    Walk(cache, keys("1")).go()
    cache.prefetched.clear()
    walk = Walk(cache, keys("2"))
    walk.go(steps=COPY_FROM + 1)
    behind = {entry.key for entry in cache.entries.values()} - {step.key.hex for step in keys("1").steps}
    assert len(cache.prefetched) == 2
    assert set(cache.prefetched) <= behind, "the second keys of the steps behind the copy"


def test_a_stage_of_one_layer(cache):
    whole = keys(whole=CacheKey.of(START, "single snapshot"))
    first = Walk(cache, whole)
    assert first.steps.is_whole
    assert first.steps.expects_root()
    assert first.steps.look_up_stage() is None
    first.steps.keep_stage(layer("all"), MADE_AT)
    assert list(cache.entries) == [whole.whole.hex]
    cache.asked.clear()
    second = Walk(cache, whole)
    second.steps.prefetch()
    assert cache.prefetched == [whole.whole.hex]
    assert second.steps.look_up_stage().layer == layer("all")
    assert [second.steps.look_up(step.step, None).layer for step in whole.steps] == [None] * 5
    assert cache.asked == [whole.whole.hex], "asked for once"
    assert [event.instruction for event in second.told] == ["the whole stage (--single-snapshot)"]
    assert second.steps.upon.text == first.steps.upon.text != ""
    assert not second.steps.expects_root()
    partly = Walk(cache, whole, copy_layers=False)
    assert partly.steps.expects_root()
    assert partly.steps.look_up_stage() is None
    assert not Walk(cache, keys()).steps.is_whole
