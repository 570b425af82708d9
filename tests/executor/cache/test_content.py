"""The digest of what a copy reads: everything but times and owners counts."""

import hashlib
import inspect
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.cache.content import content_digest
from executor.rootfs.files.copytree import Choice, CopyRules, copy_tree
from tests.support.trees import Dir, Fifo, File, Hard, Link, read_tree, write_tree

TREE = {"a/b": "content", "a/l": Link("b"), "c": File("x", 0o755), "d": Dir(0o700), "p": Fifo()}


def digest(top, **rules):
    return content_digest(str(top), **rules)


def test_times_do_not_count_nor_does_the_place(tmp_path):
    one, two = write_tree(tmp_path / "one", TREE), write_tree(tmp_path / "two", TREE)
    for path in two.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    two.chmod(0o700)
    assert digest(one) == digest(two)


@pytest.mark.parametrize(
    "change",
    [
        {"a/b": "Content"},
        {"a/b": File("content", 0o600)},
        {"a/l": Link("c")},
        {"a/l": "content"},
        {"c": File("x", 0o644)},
        {"d": Dir(0o755)},
        {"d": "", "p": Dir()},
        {"p": Fifo(0o600)},
        {"new": ""},
        {"a/b": "content", "a/c": Hard("a/b")},
    ],
)
def test_everything_else_counts(tmp_path, change):
    one, two = write_tree(tmp_path / "one", TREE), write_tree(tmp_path / "two", {**TREE, **change})
    assert digest(one) != digest(two)


def test_a_hard_link_is_not_a_copy(tmp_path):
    linked = write_tree(tmp_path / "linked", {"a": "x", "b": Hard("a")})
    copied = write_tree(tmp_path / "copied", {"a": "x", "b": "x"})
    assert digest(linked) != digest(copied)
    (tmp_path / "outside").hardlink_to(copied / "a")
    alone = write_tree(tmp_path / "alone", {"a": "x", "b": "x"})
    assert digest(copied) == digest(alone), "a name outside of the tree is nobody's business"


def test_attributes_count(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    before = digest(path)
    try:
        os.setxattr(path, "user.test", b"value")
    except OSError:
        pytest.skip("this file system has no user attributes")
    assert digest(path) != before


def test_a_single_file_has_no_name_and_links_are_not_followed(tmp_path):
    write_tree(tmp_path, {"one": "x", "two": "x", "l": Link("one")})
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert digest(tmp_path / "l") != digest(tmp_path / "one")


def test_sockets_are_left_out(tmp_path):
    write_tree(tmp_path, {"a": "x"})
    before = digest(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert digest(tmp_path) == before


def test_what_chmod_overrides_does_not_count(tmp_path):
    one = write_tree(tmp_path / "one", {"a": File("x", 0o644)})
    two = write_tree(tmp_path / "two", {"a": File("x", 0o600)})
    assert digest(one, mode=lambda _mode: 0o640) == digest(two, mode=lambda _mode: 0o640)


def test_deep_trees_cost_no_stack(tmp_path):
    path = str(tmp_path)
    for _ in range(400):
        path += "/d"
        os.mkdir(path)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert digest(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
        while path != str(tmp_path):  # pytest cannot remove what is as deep as that
            os.rmdir(path)
            path = os.path.dirname(path)


names = st.sampled_from(["a", "b", "c", "ab", "é"])
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "x", File("x", 0o755), Dir(), Dir(0o700), Link("a"), Link("/b")]),
    max_size=6,
).filter(lambda tree: all(not (other.startswith(f"{path}/")) or isinstance(node, Dir)
                          for path, node in tree.items() for other in tree))  # fmt: skip
choices = st.dictionaries(names, st.sampled_from(list(Choice)))


@given(trees, trees)
def test_trees_are_equal_when_their_digests_are(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("trees")
    one, two = write_tree(folder / "one", first), write_tree(folder / "two", second)
    assert (digest(one) == digest(two)) == (read_tree(one) == read_tree(two))


@given(trees, choices)
def test_the_digest_is_that_of_the_copy(tmp_path_factory, tree, chosen):
    """What is chosen has the digest that its copy has as a whole."""
    folder = tmp_path_factory.mktemp("copies")
    source, target = write_tree(folder / "source", tree), folder / "target"
    target.mkdir()

    def choose(path, _is_directory):
        return chosen.get(Path(path).name, Choice.TAKE)

    copy_tree(str(source), str(target), CopyRules(choose=choose))
    assert digest(source, choose=choose) == digest(target)


def test_the_digest_is_of_the_lines_that_it_always_was(tmp_path):
    """Keys of caches that are in use depend on it. A name that is no text comes where its bytes come."""
    write_tree(
        tmp_path, {"a": File("x", 0o644), "l": Link("a"), "\N{GRINNING FACE}": "", os.fsdecode(b"\xff"): ""}
    )
    x, empty = (hashlib.sha256(content).hexdigest() for content in (b"x", b""))
    lines = (
        f'["a",32768,420,{{}},"{x}"]\n["l",40960,0,{{}},"a"]\n'
        f'["\\ud83d\\ude00",32768,420,{{}},"{empty}"]\n["\\udcff",32768,420,{{}},"{empty}"]\n'
    )
    assert digest(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_file_that_tells_no_size_counts_with_all_its_content(tmp_path):
    (tmp_path / "copy").write_bytes(Path("/proc/version").read_bytes())

    def same(_mode):
        return 0o644

    assert digest("/proc/version", mode=same) == digest(tmp_path / "copy", mode=same)
