import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import Location, UsageError
from executor.spec import BuildSpec, OutputSpec
from runner.model import ImageSpec
from runner.planning.plan import PlannedImage, RunPlan, in_families
from runner.planning.selection import Selection, Shard, read_seconds, select

# base ← (app-a, app-b) ← both; tool; lonely
NEEDS = {
    "base": (),
    "app-a": ("base",),
    "app-b": ("base",),
    "both": ("app-a", "app-b"),
    "tool": (),
    "lonely": (),
}


def plan_of(needs, groups=(), families=(), unpushed=()):
    families = dict(families)
    images = (
        PlannedImage(
            image=ImageSpec(
                name=name,
                build=BuildSpec(context=".", output=OutputSpec(no_push=name in unpushed)),
                location=Location("f"),
                family=families.get(name, ""),
            ),
            needs=wanted,
        )
        for name, wanted in needs.items()
    )
    return RunPlan(images=tuple(in_families(images)), groups=dict(groups))


def selected(needs=NEEDS, changed=None, groups=(), families=(), unpushed=(), **options):
    chosen = select(plan_of(needs, groups, families, unpushed), Selection(**options), changed)
    return {planned.image.name: planned.needs for planned in chosen.images}


def test_all():
    assert selected() == NEEDS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only": ("tool",)}, ["tool"]),
        ({"only": ("app-a",)}, ["base", "app-a"]),
        ({"only": ("app-*",)}, ["base", "app-a", "app-b"]),
        ({"only": ("tool", "lonely")}, ["tool", "lonely"]),
        ({"only": ("both",)}, ["base", "app-a", "app-b", "both"]),
        ({"only": ("[bt]o*",)}, ["base", "app-a", "app-b", "both", "tool"]),
        ({"skip": ("tool",)}, ["base", "app-a", "app-b", "both", "lonely"]),
        ({"skip": ("*o*",)}, ["base", "app-a", "app-b"]),
        ({"only": ("app-*",), "skip": ("app-b",)}, ["base", "app-a"]),
        ({"only": ("both",), "skip": ("app-a",)}, ["base", "app-b", "both"]),
        ({"only": ("both",), "skip": ("app-*",)}, ["both"]),
    ],
)
def test_by_name(options, expected):
    assert list(selected(**options)) == expected


def test_what_is_skipped_is_needed_no_more():
    assert selected(only=("app-a",), skip=("base",)) == {"app-a": ()}
    assert selected(only=("both",), skip=("app-a",))["both"] == ("app-b",)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"only": ("tol",)}, "--only 'tol' matches no image", "did you mean 'tool'?"),
        ({"skip": ("tool", "web-*")}, "--skip 'web-*' matches no image", "the images are base, app-a"),
        ({"only": ("tool",), "skip": ("tool",)}, "no image is left to build", "--skip counts more"),
        ({"skip": ("*",)}, "no image is left to build", "--skip"),
        ({"only": ("TOOL",)}, "--only 'TOOL' matches no image", ""),
    ],
)
def test_mistakes(options, message, hint):
    with pytest.raises(UsageError) as caught:
        selected(**options)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_shards_keep_together_what_is_connected():
    shares = [list(selected(shard=Shard(index, 3))) for index in (1, 2, 3)]
    assert shares == [["base", "app-a", "app-b", "both"], ["tool"], ["lonely"]]


def test_a_skipped_image_connects_nothing():
    shares = [list(selected(skip=("base", "both"), shard=Shard(index, 2))) for index in (1, 2)]
    assert shares == [["app-a", "tool"], ["app-b", "lonely"]]


def test_more_shards_than_parts():
    assert selected(only=("tool",), shard=Shard(2, 2)) == {}


@given(st.integers(1, 8), st.lists(st.lists(st.integers(0, 30), max_size=2), min_size=1, max_size=25))
def test_shards_divide_any_list(count, graph):
    """Image number i needs some of those before it."""
    needs = {
        str(number): tuple(sorted({str(other % number) for other in others})) if number else ()
        for number, others in enumerate(graph)
    }
    shares = [selected(needs, shard=Shard(index, count)) for index in range(1, count + 1)]
    together = [name for share in shares for name in share]
    assert sorted(together) == sorted(needs)
    for share in shares:
        assert all(share[name] == needs[name] for name in share)


@given(st.integers(1, 9), st.integers(1, 9))
def test_free_images_are_dealt_evenly(count, images):
    needs = {str(number): () for number in range(images)}
    sizes = [len(selected(needs, shard=Shard(index, count))) for index in range(1, count + 1)]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["1/1", "2/5", "5/5"])
def test_shard(text):
    shard = Shard.parse(text)
    assert f"{shard.index}/{shard.count}" == text


@pytest.mark.parametrize("text", ["", "0/5", "6/5", "1/0", "1", "a/b", "1/2/3", "-1/2", "1/99999", "1/2\n"])
def test_no_shard(text):
    with pytest.raises(UsageError, match="is not a share"):
        Shard.parse(text)


GROUPS = {"apps": ("app-a", "app-b"), "default": ("tool", "lonely")}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["tool", "lonely"]),
        ({"only": ("apps",)}, ["base", "app-a", "app-b"]),
        ({"only": ("apps", "tool"), "skip": ("base",)}, ["app-a", "app-b", "tool"]),
        ({"skip": ("default",)}, None),
        ({"only": ("*",), "skip": ("apps",)}, ["base", "both", "tool", "lonely"]),
    ],
)
def test_groups(options, expected):
    if expected is None:
        with pytest.raises(UsageError):
            selected(groups=GROUPS, **options)
    else:
        assert list(selected(groups=GROUPS, **options)) == expected


@pytest.mark.parametrize(
    ("changed", "options", "expected"),
    [
        ({"base"}, {}, ["base", "app-a", "app-b", "both"]),
        ({"app-a"}, {}, ["app-a", "both"]),
        ({"app-a"}, {"unpushed": ("base", "app-b")}, ["base", "app-a", "app-b", "both"]),
        ({"app-a"}, {"only": ("app-*",)}, ["app-a"]),
        ({"tool"}, {"skip": ("tool",)}, []),
        (set(), {}, []),
    ],
)
def test_only_what_has_changed_and_its_dependents(changed, options, expected):
    assert list(selected(changed=changed, **options)) == expected


def test_shards_are_balanced_by_time():
    needs = dict.fromkeys("abcdef", ())
    seconds = {"a": 100.0, "b": 60.0, "c": 50.0, "d": 10.0, "e": 1.0}
    shares = [list(selected(needs, shard=Shard(index, 2), seconds=seconds)) for index in (1, 2)]
    assert shares == [["a", "d", "e"], ["b", "c", "f"]] or shares == [["a", "f"], ["b", "c", "d", "e"]]


@given(st.integers(1, 6), st.lists(st.floats(0, 1000), min_size=1, max_size=20))
def test_no_shard_is_longer_than_it_must_be(count, times):
    """The rule's bound: no more than the mean and the longest one together; and the same every time."""
    needs = {str(number): () for number in range(len(times))}
    seconds = {str(number): time for number, time in enumerate(times)}
    shares = [list(selected(needs, shard=Shard(index, count), seconds=seconds)) for index in range(1, count + 1)]
    assert sorted(name for share in shares for name in share) == sorted(needs)
    longest = max(sum(seconds[name] for name in share) for share in shares)
    assert longest <= sum(times) / count + max(times) + 1e-6


def test_a_family_stays_together():
    needs = dict.fromkeys("abcd", ())
    shares = [list(selected(needs, families={"a": "x", "c": "x"}, shard=Shard(index, 2))) for index in (1, 2)]
    assert shares == [["a", "c"], ["b", "d"]]


def test_families_are_in_turn_among_what_is_left():
    families = dict.fromkeys("abc", "x")
    chosen = select(plan_of(dict.fromkeys("abc", ()), families=families), Selection(skip=("b",)))
    assert [(planned.image.name, planned.after) for planned in chosen.images] == [("a", ()), ("c", ("a",))]


def test_times_of_an_earlier_run(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(
        '{"images": {"a": {"status": "built", "seconds": 3}, "b": {"status": "skipped", "seconds": 0}}}'
    )
    assert read_seconds(str(path)) == {"a": 3.0}


@pytest.mark.parametrize("text", [None, "", "[]", "[" * 100_000, "{}", '{"images": {"a": 1}}', "\xff"])
def test_no_times(tmp_path, text):
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="--timings"):
        read_seconds(str(path))
