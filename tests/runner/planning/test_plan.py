import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ContextError, Diagnostic, InvalidFileError, Location
from executor.spec import BuildSpec
from runner.model import ImageSpec, RunConfig
from runner.planning.plan import plan

HERE = Location("builds.yaml", 3, 5)


def image(name, *references, context="."):
    return ImageSpec(
        name=name,
        build=BuildSpec(name=name, context=context, dockerfile=name),
        references=references or (f"r.io/{name}:latest",),
        location=HERE,
    )


def planned(images, bases):
    """`bases` maps a Dockerfile to what it builds upon; an exception is raised."""

    def base_images(spec):
        found = bases.get(spec.dockerfile, ())
        if isinstance(found, Exception):
            raise found
        return tuple(found)

    return plan(RunConfig(file="builds.yaml", images=tuple(images)), base_images)


def order(run):
    return [(item.image.name, item.needs) for item in run.images]


def test_bases_first_and_else_the_order_of_the_file():
    run = planned(
        [image("app"), image("free"), image("lib"), image("base", "r.io/base:1", "r.io/base:latest")],
        {"app": ["docker.io/library/debian:12", "r.io/lib:latest", "r.io/base:1"], "lib": ["r.io/base:latest"]},
    )
    assert order(run) == [("free", ()), ("base", ()), ("lib", ("base",)), ("app", ("lib", "base"))]
    assert run.describe() == "1 free\n2 base\n3 lib   needs base\n4 app   needs lib, base"


def test_an_image_may_build_upon_its_own_previous_version():
    assert order(planned([image("a")], {"a": ["r.io/a:latest"]})) == [("a", ())]


def test_a_digest_names_no_image_of_the_run():
    pinned = "r.io/b@sha256:" + "0" * 64
    assert order(planned([image("a"), image("b")], {"a": [pinned]})) == [("a", ()), ("b", ())]


def test_dockerfiles_in_a_url_are_not_read():
    assert order(planned([image("a", context="git://x")], {"a": ContextError("must not be read")})) == [("a", ())]


def test_a_circle_is_named():
    bases = {"b": ["r.io/c:latest"], "c": ["r.io/d:latest"], "d": ["r.io/b:latest"], "a": ["r.io/b:latest"]}
    with pytest.raises(InvalidFileError) as caught:
        planned([image(name) for name in "abcde"], bases)
    assert "in a circle: b → c → d → b" in str(caught.value)


def test_faults_of_all_dockerfiles_at_once():
    bases = {
        "a": InvalidFileError([Diagnostic(Location("a/Dockerfile", 2), "unknown instruction FORM")]),
        "b": ContextError("cannot read b"),
        "c": InvalidFileError([Diagnostic(Location("a/Dockerfile", 2), "unknown instruction FORM")]),
    }
    with pytest.raises(InvalidFileError) as caught:
        planned([image(name) for name in "abc"], bases)
    assert [str(d) for d in caught.value.diagnostics] == [
        "a/Dockerfile:2: unknown instruction FORM",
        "builds.yaml:3:5: cannot read b",
    ]


@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=12), st.permutations(range(12)))
def test_any_list_without_a_circle_is_ordered(needs, shuffle):
    """Image i may need images of a smaller number; the file has them in any order."""
    count = len(needs)
    wanted = {i: {n for n in need if n < i} for i, need in enumerate(needs)}
    file_order = [i for i in shuffle if i < count]
    run = planned(
        [image(f"i{i}") for i in file_order],
        {f"i{i}": [f"r.io/i{n}:latest" for n in need] for i, need in wanted.items()},
    )
    seen = set()
    for item in run.images:
        assert set(item.needs) == {f"i{n}" for n in wanted[int(item.image.name[1:])]}
        assert seen.issuperset(item.needs)
        seen.add(item.image.name)
    assert len(seen) == count
