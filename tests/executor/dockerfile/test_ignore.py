"""`.dockerignore`: the reader, a table of moby's answers, and a slow reference that reads patterns by hand."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.dockerfile.ignore import IgnoreMatcher, compile_pattern, parse_ignore
from executor.dockerfile.wildcard import PatternError
from executor.errors import InvalidFileError

CASES = [
    # patterns, ignored, not ignored
    ("a", ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"]),
    ("/a/", ["a", "a/b"], ["b/a"]),
    ("./a/../b", ["b"], ["a"]),
    ("*", ["a", "a/b", ".x"], []),
    ("*.md", ["x.md", "x.md/y", ".md"], ["a/x.md", "xmd"]),
    ("*/*.md", ["a/x.md"], ["x.md", "a/b/x.md"]),
    ("**/*.md", ["x.md", "a/x.md", "a/b/x.md"], ["x.mdx"]),
    ("**/a", ["a", "x/a", "x/a/y"], ["ba", "x/ba"]),
    ("**a", ["a", "ba", "x/ba"], ["ab"]),
    ("**.md", ["x.md", "a/x.md"], ["x.mdx"]),
    ("**", ["a", "a/b"], []),
    ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
    ("a**", ["a", "ab", "a/b"], ["ba"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b/c"], ["a", "ab", "a/xb"]),
    ("a**b", ["ab", "ax/b"], ["axb"]),
    ("a?c", ["abc"], ["ac", "a/c"]),
    ("[a-c]x", ["ax", "cx"], ["dx"]),
    ("[^a]x", ["bx"], ["ax"]),
    (r"\*", ["*"], ["a"]),
    (r"\!a", ["!a"], ["a"]),
    (r"[\]]", ["]"], ["\\"]),
    ("a.b", ["a.b"], ["axb"]),
    ("# a\n#b\n #c", ["#c"], ["a", "b", "#b"]),
    ("*\n!a", ["b", "b/a"], ["a", "a/x"]),
    ("*\n! a", ["b"], ["a"]),
    ("!a\n*", ["a", "b"], []),
    ("a\n!a/b\na/b/c", ["a", "a/x", "a/b/c"], ["a/b", "a/b/d"]),
    # an ignored folder stays ignored although what is below it was let in by an earlier pattern
    ("**\n!**/*.go\nvendor", ["a", "vendor/x.go", "a/x.c"], ["x.go", "a/b/x.go"]),
    # a `!` pattern for a folder counts only if the folder itself was ignored
    ("a/b\n!a", ["a/b"], ["a", "a/c"]),
    ("", [], ["a", "."]),
    (".", [], [".", "a"]),
    ("..", [], ["a"]),
    ("\ufeff# c\r\na \r\n", ["a"], ["b"]),
]


@pytest.mark.parametrize(("text", "ignored", "kept"), CASES)
def test_a_file_decides_as_moby_does(text, ignored, kept):
    matcher = IgnoreMatcher(parse_ignore(text))
    assert [path for path in (*ignored, *kept) if matcher.ignores(path)] == ignored


def test_the_reader_cleans_patterns():
    text = "\n  a/  \n# c\n!  /b//c/./\n/\n!x\n\ta b\n"
    assert parse_ignore(text) == ("a", "!b/c", "/", "!x", "a b")
    assert parse_ignore(text.encode()) == parse_ignore(text)


def test_all_bad_patterns_are_reported_with_their_lines():
    with pytest.raises(InvalidFileError) as caught:
        parse_ignore("a\n[\nb\n !\n[]\n[a-]\nx\\\n!/", "app.dockerignore")
    assert [str(fault.location) for fault in caught.value.diagnostics] == [
        f"app.dockerignore:{line}:1" for line in (2, 4, 5, 6, 7, 8)
    ]


def test_the_matcher_refuses_bad_patterns_of_other_origin():
    with pytest.raises(InvalidFileError, match="--exclude: bad pattern"):
        IgnoreMatcher(["[a"], "--exclude")
    assert IgnoreMatcher([" a ", ""]).ignores("a")


def test_deep_paths_do_not_exhaust_the_stack():
    matcher = IgnoreMatcher(["**/x", "!**/y"])
    deep = "d/" * 2000
    assert matcher.ignores(f"{deep}x")
    assert not matcher.ignores(f"{deep}z")


def test_folders_are_pruned_unless_something_below_may_come_back():
    matcher = IgnoreMatcher(["*", "!src/*/keep", "!lib/[a-z]", "!doc/**/x", "!top"])
    pruned = {
        folder: not matcher.may_contain_included(folder) for folder in ("src", "src/a", "src/a/b", "out", "top")
    }
    assert pruned == {"src": False, "src/a": False, "src/a/b": True, "out": True, "top": True}
    assert matcher.may_contain_included("lib")
    assert matcher.may_contain_included("doc/a/b/c")
    assert not IgnoreMatcher(["*"]).may_contain_included("a")


# --- against a reference that works character by character, without regular expressions


def matches(pattern, text):
    """Whether the whole of `text` matches, by trying every way there is."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        rest = pattern[2:].removeprefix("/")
        if not rest:
            return True
        return matches(rest, text) or any(
            matches(rest, text[cut + 1 :]) for cut, char in enumerate(text) if char == "/"
        )
    if pattern[0] == "*":
        name = text.split("/")[0]
        return any(matches(pattern[1:], text[cut:]) for cut in range(len(name) + 1))
    if not text:
        return False
    if pattern[0] == "?":
        return text[0] != "/" and matches(pattern[1:], text[1:])
    if pattern[0] == "\\":
        return text[0] == pattern[1] and matches(pattern[2:], text[1:])
    if pattern[0] == "[":
        inner, rest = pattern[1:].split("]", 1)
        return (text[0] in inner.lstrip("^")) != inner.startswith("^") and matches(rest, text[1:])
    return text[0] == pattern[0] and matches(pattern[1:], text[1:])


def matches_pattern(pattern, path):
    ends_with = pattern[2:]
    if pattern.startswith("**") and ends_with and ends_with[0] != "/" and not set(ends_with) & set("*?[\\"):
        return path.endswith(ends_with)
    return matches(pattern, path)


def reference_ignores(patterns, path):
    """Walk from the top; each folder hands on the patterns that matched it."""
    parts = path.split("/")
    matched = set()
    ignored = False
    for depth in range(1, len(parts) + 1):
        here, ignored = "/".join(parts[:depth]), False
        above, matched = matched, set()
        for pattern in patterns:
            lets_in = pattern.startswith("!")
            if pattern in above or ((ignored or not lets_in) and matches_pattern(pattern.removeprefix("!"), here)):
                matched.add(pattern)
                ignored = not lets_in
    return ignored


SEGMENT = st.lists(st.sampled_from(["a", "b", ".", "*", "**", "?", "[ab]", "[^a]", "\\*"]), min_size=1, max_size=3)
PATTERN = st.lists(SEGMENT.map("".join), min_size=1, max_size=3).map("/".join)
PATTERNS = st.lists(st.tuples(st.sampled_from(["", "", "!"]), PATTERN).map("".join), max_size=5, unique=True)
PATH = st.lists(st.text(alphabet="ab.*", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


def is_clean(path):
    return not {".", ".."} & set(path.removeprefix("!").split("/"))


@settings(max_examples=500)
@given(PATTERNS, PATH)
def test_decisions_are_those_of_the_reference(patterns, path):
    patterns = [pattern for pattern in patterns if is_clean(pattern)]
    if is_clean(path):
        assert IgnoreMatcher(patterns).ignores(path) == reference_ignores(patterns, path)


@settings(max_examples=500)
@given(PATTERNS, PATH)
def test_pruning_loses_nothing(patterns, path):
    matcher = IgnoreMatcher(patterns)
    parts = path.split("/")
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth])
        if matcher.ignores(folder) and not matcher.may_contain_included(folder):
            assert matcher.ignores(path)


@given(PATTERNS, st.lists(PATH, max_size=6))
def test_the_order_of_questions_does_not_matter(patterns, paths):
    matcher = IgnoreMatcher(patterns)
    asked = [matcher.ignores(path) for path in paths]
    assert [IgnoreMatcher(patterns).ignores(path) for path in paths] == asked


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        patterns = parse_ignore(text)
    except InvalidFileError:
        return
    IgnoreMatcher(patterns).ignores("a/b")


@given(st.text(alphabet="ab[]^-\\*?/é"))
def test_any_pattern_compiles_or_is_refused(pattern):
    with contextlib.suppress(PatternError):
        compile_pattern(pattern).match("a")
