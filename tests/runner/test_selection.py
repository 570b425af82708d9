import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import Location, UsageError
from executor.spec import BuildSpec
from runner.model import ImageSpec
from runner.plan import PlannedImage, RunPlan
from runner.selection import Selection, Shard, select

# base ← (app-a, app-b) ← both; tool; lonely
NEEDS = {
    "base": (),
    "app-a": ("base",),
    "app-b": ("base",),
    "both": ("app-a", "app-b"),
    "tool": (),
    "lonely": (),
}


def plan_of(needs):
    images = (
        PlannedImage(
            image=ImageSpec(name=name, build=BuildSpec(context="."), location=Location("f")), needs=wanted
        )
        for name, wanted in needs.items()
    )
    return RunPlan(images=tuple(images))


def selected(needs=NEEDS, **options):
    chosen = select(plan_of(needs), Selection(**options))
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
    with pytest.raises(UsageError, match="is no share"):
        Shard.parse(text)
