"""Each class is made twice, by the standard library and by executor.dataclass, and both must look the same."""

import copy
import dataclasses
import pickle
import subprocess
import sys

import pytest

from executor import dataclass as ours
from executor.spec import BuildSpec, RetryPolicy

BOTH = [dataclasses, ours]


@pytest.fixture(autouse=True, params=["called for the first time", "called often"])
def called(request, monkeypatch):
    """Our classes are made in two ways."""
    if request.param == "called often":
        monkeypatch.setattr(ours, "_CALLS_BEFORE", 0)


def classes_of(library):
    dataclass, field = library.dataclass, library.field

    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2

        @property
        def sum(self):
            return self.x + self.y

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        name: str
        tags: dict = field(default_factory=dict)
        secret: bytes = field(default=b"", repr=False)
        seen: float = field(default=0.0, compare=False)

    @dataclass(slots=True)
    class Counter:
        counts: list = field(default_factory=list)
        total: int = 0

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        origin: str = "here"

    @dataclass(frozen=True, slots=True)
    class Derived(Base):
        """One more field, given by position before those of the base."""

        value: int

        def __str__(self):
            return f"<{self.value}>"

    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    return Point, Named, Counter, Base, Derived, Nothing


def instances_of(library):
    point, named, counter, base, derived, nothing = classes_of(library)
    return [
        point(1),
        point(1, 3),
        point(y=2, x=1),
        named(name="a"),
        named(name="a", tags={"b": [point(5)]}, secret=b"c", seen=1.5),
        named(name="a", seen=7.0),
        counter(),
        counter([1, (named(name="z"),)], 4),
        base(),
        derived(7),
        derived(7, origin="there"),
        nothing(),
    ]


def outcome(work):
    """What `work` gives, or the kind of what it raises."""
    try:
        return work()
    except (TypeError, AttributeError) as error:
        return type(error)


@pytest.mark.parametrize(
    "view",
    [
        repr,
        str,
        lambda each: each.__class__.__match_args__,
        lambda each: each.__class__.__slots__,
        lambda each: each.__class__.__qualname__,
        lambda each: each.__class__.__doc__ if each.__class__.__name__ == "Derived" else None,
        lambda each: hasattr(each, "__dict__"),
        lambda each: outcome(lambda: setattr(each, "x", 1)) is None,
        lambda each: outcome(lambda: setattr(each, "total", 1)) is None,
        lambda each: outcome(lambda: delattr(each, "name")) is None,
        lambda each: outcome(lambda: {each: 1}[copy.copy(each)]),
        lambda each: outcome(lambda: setattr(each, "unknown", 1)) is None,
        lambda each: copy.deepcopy(each) == each,
        lambda each: repr(copy.copy(each)),
    ],
)
def test_instances_look_the_same(view):
    standard, own = (instances_of(library) for library in BOTH)
    assert [view(each) for each in own] == [view(each) for each in standard]


def test_frozen_instances_say_so():
    (point, *_) = instances_of(ours)
    for change in (lambda: setattr(point, "x", 1), lambda: delattr(point, "x"), lambda: setattr(point, "new", 1)):
        with pytest.raises(dataclasses.FrozenInstanceError, match=r"field '(x|new)'"):
            change()
    assert point.x == 1


def test_what_is_equal_is_the_same():
    standard, own = (instances_of(library) for library in BOTH)
    assert [[a == b for a in own] for b in own] == [[a == b for a in standard] for b in standard]
    assert [a != b for a, b in zip(own, standard, strict=True)] == [True] * len(own)


def test_equal_values_have_one_hash():
    point, named, *_ = classes_of(ours)
    assert len({point(1), point(1, 2), point(2)}) == 2
    with pytest.raises(TypeError):
        hash(named(name="a"))  # it holds a dict, as the standard library's would


@pytest.mark.parametrize("arguments", [(), (1, 2, 3), (1,)])
@pytest.mark.parametrize("named", [{}, {"x": 1}, {"y": 1}, {"z": 1}, {"name": "a"}, {"name": "a", "tags": None}])
def test_calls_are_refused_alike(arguments, named):
    standard, own = (
        [outcome(lambda cls=cls: repr(cls(*arguments, **named))) for cls in classes_of(library)]
        for library in BOTH
    )
    assert own == standard


def test_a_factory_is_asked_for_each_instance():
    _, _, counter, *_ = classes_of(ours)
    first, second = counter(), counter()
    first.counts.append(1)
    assert second.counts == []


@pytest.mark.parametrize("library", BOTH)
@pytest.mark.parametrize("functions", BOTH)
def test_functions_of_both_libraries_take_our_classes(library, functions):
    results = [
        [
            functions.asdict(each),
            functions.is_dataclass(each),
            [field.name for field in functions.fields(each)],
            repr(functions.replace(each)),
        ]
        for each in instances_of(library)
        if library is not dataclasses or functions is dataclasses
    ]
    expected = [
        [
            dataclasses.asdict(each),
            True,
            [field.name for field in dataclasses.fields(each)],
            repr(dataclasses.replace(each)),
        ]
        for each in instances_of(dataclasses)
    ]
    assert results == (expected if results else [])


@pytest.mark.parametrize("functions", BOTH)
def test_replace_keeps_what_is_not_named(functions):
    spec = BuildSpec(context="/c", build_args={"a": "1"})
    changed = functions.replace(spec, target="t")
    assert (changed.context, changed.build_args, changed.target) == ("/c", {"a": "1"}, "t")
    with pytest.raises(TypeError):
        functions.replace(spec, nonsense=1)


def test_the_standard_library_sees_defaults_and_types():
    fields = {field.name: field for field in dataclasses.fields(BuildSpec)}
    assert fields["dockerfile"].default == "Dockerfile"
    assert fields["context"].default is dataclasses.MISSING
    assert fields["build_args"].default_factory is dict
    assert (fields["target"].type, fields["target"].kw_only) == ("str", True)


def test_instances_can_be_pickled():
    policy = RetryPolicy(retries=3)
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_match_takes_instances_apart():
    point, *_ = classes_of(ours)
    match point(1, 5):
        case point(x, y=5):
            assert x == 1
        case _:
            pytest.fail("no match")


def test_a_class_under_another_may_be_called_first():
    point, *_ = classes_of(ours)

    class Marked(point):
        __slots__ = ()

    assert (repr(Marked(3)), repr(point(4))) == (
        repr(Marked(3)).replace("point", "Point"),
        "classes_of.<locals>.Point(x=4, y=2)",
    )
    assert Marked(3).sum == 5


def test_defaults_that_instances_would_share_are_refused():
    with pytest.raises(ValueError, match="default_factory"):

        @ours.dataclass(slots=True)
        class Shared:
            values: list = []  # noqa: RUF012


def test_slots_must_be_asked_for():
    with pytest.raises(TypeError):
        ours.dataclass(frozen=True)


def test_making_classes_compiles_nothing():
    code = (
        "import sys\n"
        "compiled = []\n"
        "sys.addaudithook(lambda event, _: compiled.append(event) if event in ('compile', 'exec') else None)\n"
        "from executor.dataclass import dataclass\n"
        "compiled.clear()\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Point:\n    x: int\n    y: int = 2\n"
        "made = len(compiled)\n"
        "Point(1), Point(2)\n"
        "called = len(compiled)\n"
        "[Point(number) for number in range(20)]\n"
        "print(made, called, len(compiled), 'dataclasses' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "0", "2", "False"]


def test_what_was_not_called_can_be_compiled_beforehand():
    @ours.dataclass(slots=True, frozen=True)
    class Point:
        x: int
        y: int = 2

    before = Point.__init__
    while ours.prepare_next():
        pass
    prepared = Point.__init__
    assert prepared is not before
    assert (Point(1), Point.__init__) == (Point(1, 2), prepared)


def test_a_class_that_is_called_often_is_compiled():
    point, *_ = classes_of(ours)
    made = [point(number) for number in range(100)]
    assert point.__init__.__code__.co_varnames[:3] == ("self", "x", "y")
    assert [each.x for each in made] == list(range(100))
