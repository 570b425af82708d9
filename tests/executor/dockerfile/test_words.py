"""Shell words: a table of cases whose results are BuildKit's, and round trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.dockerfile.words import WordError, expand, expand_document, expand_words

VARIABLES = {
    "HOME": "/root",
    "EMPTY": "",
    "LIST": "one two  three",
    "FILE": "dir/sub/archive.tar.gz",
    "STAR": "a*b*c",
    "Ü": "umlaut",
    "_x1": "under",
    "REF": "$HOME",
}

WORDS = [
    # plain text, quotes, escapes
    ("", ""),
    ("a b", "a b"),
    ("a'b c'd", "ab cd"),
    ('a"b c"d', "ab cd"),
    (r"a\b", "ab"),
    (r"a\\b", r"a\b"),
    (r"\$HOME", "$HOME"),
    ("a\\", "a"),
    (r"'a\b'", r"a\b"),
    (r'"a\b"', r"a\b"),
    (r'"a\\b"', r"a\b"),
    (r'"a\"b"', 'a"b'),
    (r'"\$HOME"', "$HOME"),
    ("'$HOME'", "$HOME"),
    ('"$HOME"', "/root"),
    ("\"'$HOME'\"", "'/root'"),
    ("''", ""),
    # $name
    ("$HOME", "/root"),
    ("$HOMEx", ""),
    ("$HOME.x", "/root.x"),
    ("$Ü", "umlaut"),
    ("$_x1-", "under-"),
    ("$REF", "$HOME"),
    ("$", "$"),
    ("$.", "$."),
    ("a$ b", "a$ b"),
    ("$UNSET", ""),
    # positional and special parameters are never set
    ("$1a", "a"),
    ("$12a", "a"),
    ("$@x$*x$#x$?x$-x$$x$!x$0x", "xxxxxxxx"),
    ("${1:-one}", "one"),
    ("${@:-all}", "all"),
    # ${name…}
    ("${HOME}x", "/rootx"),
    ("${UNSET}x", "x"),
    ("${UNSET-a b}", "a b"),
    ("${UNSET:-a}", "a"),
    ("${EMPTY-a}", ""),
    ("${EMPTY:-a}", "a"),
    ("${HOME:-a}", "/root"),
    ("${UNSET+a}", ""),
    ("${EMPTY+a}", "a"),
    ("${EMPTY:+a}", ""),
    ("${HOME:+a}", "a"),
    ("${HOME:?no}", "/root"),
    ("${EMPTY?no}", ""),
    ("${UNSET:-${HOME:+${UNSET:-deep}}}", "deep"),
    ("${UNSET:-'}'}", "}"),
    (r"${UNSET:-\}}", "}"),
    ('${UNSET:-"$HOME"}', "/root"),
    ("${UNSET:-{a}", "{a"),
    # prefixes and suffixes
    ("${FILE#*/}", "sub/archive.tar.gz"),
    ("${FILE##*/}", "archive.tar.gz"),
    ("${FILE%.*}", "dir/sub/archive.tar"),
    ("${FILE%%.*}", "dir/sub/archive"),
    ("${FILE#dir}", "/sub/archive.tar.gz"),
    ("${FILE#sub}", "dir/sub/archive.tar.gz"),
    ("${FILE%.?z}", "dir/sub/archive.tar"),
    (r"${STAR#a\*}", "b*c"),
    (r"${STAR%\**}", "a*b"),
    ("${STAR##*}", ""),
    ("${UNSET#a}", ""),
    ("${FILE#$UNSET}", "dir/sub/archive.tar.gz"),
    # replacing
    ("${FILE/a/A}", "dir/sub/Archive.tar.gz"),
    ("${FILE//a/A}", "dir/sub/Archive.tAr.gz"),
    (r"${FILE/\//-}", "dir-sub/archive.tar.gz"),
    (r"${FILE//\//-}", "dir-sub-archive.tar.gz"),
    ("${FILE/s*e/X}", "dir/X.tar.gz"),
    ("${FILE/./}", "dir/sub/archivetar.gz"),
    ("${LIST// /_}", "one_two__three"),
    ("${FILE//*/x}", "x"),
    ("${HOME/root/$LIST}", "/one two  three"),
    (r"${STAR//\*/}", "abc"),
    ("${UNSET/a/b}", ""),
    # `<<` keeps the spaces behind it
    ("<< EOF", "<< EOF"),
    ("a<b", "a<b"),
]

ERRORS = [
    ("'a", "single-quote"),
    ('"a', "double-quote"),
    ('"a\\"', "double-quote"),
    ("${", "missing '}'"),
    ("${HOME", "missing '}'"),
    ("${HOME:-a", "missing '}'"),
    ("${HOME/a", "missing '/'"),
    ("${HOME/a/b", "missing '}'"),
    ("${}", "bad substitution"),
    ("${:-a}", "bad substitution"),
    ("${{a}}", "bad substitution"),
    ("${HOME:=a}", "unsupported modifier (:=)"),
    ("${HOME:a}", "unsupported modifier (:a)"),
    ("${HOME:#a}", "unsupported modifier (:#)"),
    ("${HOME.}", "unsupported modifier (.)"),
    ("${UNSET?}", "UNSET: is not allowed to be unset"),
    ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
    ("${UNSET:?set it, $HOME}", "UNSET: set it, /root"),
    (r"${FILE#\a}", r"invalid escape '\a'"),
    (r"${FILE/\a/b}", r"invalid escape '\a'"),
]

SPLIT = [
    ("a b", ("a", "b")),
    ("  a\t b ", ("a", "b")),
    ("", ()),
    ("\"\" ''", ()),
    ("$LIST", ("one", "two", "three")),
    ('"$LIST"', ("one two  three",)),
    ("x$LIST-y", ("xone", "two", "three-y")),
    (r"a\ b c", ("a b", "c")),
    ("'a b'c", ("a bc",)),
    ("${UNSET:-a b}", ("a", "b")),
    ("80${UNSET:-81}", ("8081",)),
    ("<< EOF x", ("<< EOF", "x")),
]


@pytest.mark.parametrize(("word", "text"), WORDS)
def test_a_word_expands(word, text):
    assert expand(word, VARIABLES) == text


@pytest.mark.parametrize(("word", "message"), ERRORS)
def test_a_bad_word_says_why(word, message):
    with pytest.raises(WordError) as caught:
        expand(word, VARIABLES)
    assert message in str(caught.value)
    assert repr(word) in str(caught.value)


@pytest.mark.parametrize(("text", "words"), SPLIT)
def test_words_are_split_after_expansion(text, words):
    assert expand_words(text, VARIABLES) == words


def test_what_is_not_set_is_nothing():
    assert expand("$A ${B:-$C} '$D' $HOME", VARIABLES) == "  $D /root"


def test_the_escape_may_be_a_backtick():
    assert expand(r"c:\dir`$x `` $HOME", VARIABLES, escape="`") == r"c:\dir$x ` /root"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("$UNSET ${UNSET} $HOME", "$UNSET ${UNSET} /root"),
        ("${UNSET:-a} ${UNSET+b} ${UNSET#c} ${UNSET//d/e}", "${UNSET:-a} ${UNSET+b} ${UNSET#c} ${UNSET//d/e}"),
        ("${UNSET?no}", "${UNSET?no}"),
    ],
)
def test_unset_variables_can_be_kept(word, text):
    assert expand_words(word, VARIABLES, keep_unset=True) == tuple(text.split())


def test_quotes_and_escapes_can_be_kept():
    text, words = r"""'a $x' "b \$HOME" \c""", ("'a $x'", r'"b \$HOME"', r"\c")
    assert expand_words(text, {}, keep_quotes=True, keep_escapes=True) == words
    assert expand_words(text, {}, keep_quotes=True) == ("'a $x'", '"b $HOME"', "c")


def test_quotes_mean_nothing_in_a_document():
    assert expand_document('it\'s "$HOME" \\$HOME\n', VARIABLES) == 'it\'s "/root" $HOME\n'


def test_nesting_has_a_limit():
    with pytest.raises(WordError, match="nested"):
        expand("${a:-" * 3000 + "}" * 3000, {})


@given(st.text())
def test_a_single_quoted_text_comes_back(text):
    quoted = "'" + text.replace("'", """'"'"'""") + "'"
    assert expand(quoted, VARIABLES) == text
    assert expand_words(quoted, VARIABLES) == ((text,) if text else ())


@given(st.text(alphabet="ab \t\n\u00a0\u3000é"))
def test_plain_text_is_split_at_its_spaces(text):
    assert expand_words(text, {}) == tuple(text.split())


@given(st.text(), st.sampled_from("\\`"))
def test_an_escaped_text_comes_back(text, escape):
    assert expand("".join(escape + char for char in text), VARIABLES, escape=escape) == text


@given(st.text(alphabet="$<'\"\\`{}:-+?#%/*ab _1U", max_size=30))
def test_keeping_all_keeps_what_lexes(text):
    try:
        kept = expand_words(text, {}, keep_quotes=True, keep_escapes=True, keep_unset=True)
    except WordError:
        return
    if "${" not in text and "\\" not in text:
        assert "".join(kept).replace(" ", "") == text.replace(" ", "")


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab*?", max_size=4), st.booleans())
def test_trimming_leaves_a_part_of_the_value(value, pattern, prefix):
    operator = "#" if prefix else "%"
    short = expand(f"${{x{operator}{pattern}}}", {"x": value})
    long = expand(f"${{x{operator * 2}{pattern}}}", {"x": value})
    assert len(long) <= len(short) <= len(value)
    assert value.endswith(short) if prefix else value.startswith(short)
