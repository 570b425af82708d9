"""Go's filepath.Match, case by case."""

import pytest

from executor.dockerfile.wildcard import PatternError, has_wildcards, wildcard_match

CASES = [
    ("", "", True),
    ("", "a", False),
    ("abc", "abc", True),
    ("*", "abc", True),
    ("*", "a/c", False),
    ("*", "", True),
    ("*c", "abc", True),
    ("a*/b", "a/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("**", "ab", True),
    ("**/c", "a/b/c", False),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^e-g]", "abc", True),
    ("[z-a]", "b", False),
    ("[^z-a]", "b", True),
    ("[z-ab]", "b", True),
    (r"a\*b", "a*b", True),
    (r"a\*b", "ab", False),
    ("a?b", "a\u263ab", True),
    ("a[^a]b", "a\u263ab", True),
    ("a???b", "a\u263ab", False),
    (r"[\]a]", "]", True),
    (r"[\-x]", "-", True),
    (r"[x\-z]", "-", True),
    ("[!a]", "!", True),
    ("a]", "a]", True),
    ("[[a]", "[", True),
    ("[a&&b]", "&", True),
    ("a.c", "abc", False),
    ("*x", "xxx", True),
    ("a\n*", "a\nb\nc", True),
]

BAD = ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[a-", "[\\", "*[]"]


@pytest.mark.parametrize(("pattern", "name", "expected"), CASES)
def test_a_pattern_matches_as_in_go(pattern, name, expected):
    assert wildcard_match(pattern, name) is expected


@pytest.mark.parametrize("pattern", BAD)
def test_a_bad_pattern_is_refused_whatever_the_name(pattern):
    for name in ("", "a", "zzz"):
        with pytest.raises(PatternError, match="bad pattern"):
            wildcard_match(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("a/b", False), ("a*", True), ("a?", True), ("[a]", True), (r"\*", False), (r"\\*", True), ("a]", False)],
)
def test_wildcards_are_seen_unless_escaped(pattern, expected):
    assert has_wildcards(pattern) is expected
