"""The second keys of steps behind a COPY --from: by what is copied, whatever made it."""

import dataclasses

import pytest

from executor.build.layers.upon import Upon
from executor.build.stages.contentkeys import ContentChain, copies_from
from executor.build.stages.stepkeys import copied_contents
from executor.cache.entry import Entry
from executor.cache.key import CacheKey, after, copy_key, workdir_key
from executor.dockerfile.instructions import Copy
from executor.dockerfile.parser import parse
from executor.image.platform import Platform
from tests.support.trees import File, Link, write_tree

START = CacheKey.of(None, "base")
TREE = {"out/a": "a", "out/sub/b": File("b", 0o755), "out/link": Link("a")}


def copy_of(text="COPY --from=build /out /out"):
    (stage,) = parse(f"FROM scratch\n{text}\n".encode(), "Dockerfile").stages
    (step,) = stage.instructions
    assert isinstance(step, Copy)
    return step


def key_of(stage, parent=START):
    inputs = [{"from": stage, "sources": ["/out"]}]
    return copy_key(parent, "copy", inputs=inputs, flags={}, destination="/out", cwd="/")


def behind(copy):
    return workdir_key(copy, path="/x", user="")


def walk(copy, contents, found=None):
    chain = ContentChain(START.hex, Upon())
    chain.advance_copy(copy, found, lambda: contents)
    chain.advance(behind(copy), "")
    return chain


def test_the_stage_does_not_count_and_the_content_does():
    one, other = walk(key_of("1"), [{"file": "a"}]), walk(key_of("2"), [{"file": "a"}])
    assert one.key == other.key
    assert one.key != behind(key_of("1"))
    assert walk(key_of("1"), [{"file": "b"}]).key != one.key


def test_what_came_before_the_copy_counts():
    assert walk(key_of("1", behind(START)), [{"file": "a"}]).key == walk(key_of("1"), [{"file": "a"}]).key
    chain = ContentChain(behind(START).hex, Upon())
    chain.advance_copy(key_of("1"), None, lambda: [{"file": "a"}])
    assert chain.key != walk(key_of("1"), [{"file": "a"}]).key


def test_an_entry_tells_the_second_key_of_what_it_holds():
    made = walk(key_of("1"), [{"file": "a"}])
    copied = ContentChain(START.hex, Upon())
    copied.advance_copy(key_of("1"), None, lambda: [{"file": "a"}])
    entry = Entry(
        key="x", document="", layer=None, upon="", created=0, platform=Platform("linux", "amd64"),
        content=copied.key.hex,
    )  # fmt: skip
    assert walk(key_of("1"), None, entry).key == made.key, "without looking at the content"
    assert walk(key_of("1"), None, dataclasses.replace(entry, content="")).key is None


def test_where_the_content_is_not_known_there_are_no_second_keys():
    assert walk(key_of("1"), None).key is None


def test_before_any_copy_both_keys_are_one():
    chain = ContentChain(START.hex, Upon())
    chain.advance(behind(START), "")
    assert chain.key is not None
    assert chain.key == behind(START)


def test_results_of_runs_count():
    chain = ContentChain(START.hex, Upon("upon"))
    assert chain.fork().upon.text == "upon"
    chain.take_result(lambda: "made")
    assert chain.upon.text not in ("", "upon")


def test_which_steps_copy_from_elsewhere():
    assert copies_from(copy_of(), key_of("1"))
    assert not copies_from(copy_of(), after("x", key_of("1"), inputs=[{"directory": "x"}]))
    assert not copies_from(copy_of(), None)


@pytest.mark.parametrize(
    ("files", "same"),
    [
        ({}, True), ({"elsewhere": "x"}, True), ({"out/a": File("a", mtime=5)}, True), ({"out/a": "b"}, False),
        ({"out/sub/b": File("b", 0o644)}, False), ({"out/link": Link("b")}, False), ({"out/more": ""}, False),
    ],
)  # fmt: skip
def test_what_of_the_copied_files_counts(tmp_path, files, same):
    before = copied_contents(copy_of(), str(write_tree(tmp_path / "one", TREE)))
    after_ = copied_contents(copy_of(), str(write_tree(tmp_path / "two", {**TREE, **files})))
    assert (before == after_) == same


def test_owners_of_copied_files_count_unless_the_copy_gives_them_away(tmp_path):
    write_tree(tmp_path, TREE)
    kept = copied_contents(copy_of(), str(tmp_path))
    given = copied_contents(copy_of("COPY --chown=1:1 --from=build /out /out"), str(tmp_path))
    assert kept != given
