"""kaniko's --git becomes a query of the context's URL."""

import pytest

from executor.context.giturl import parse_context_url
from executor.errors import NotSupportedError, UsageError
from executor.options.gitflags import with_git_options

URL = "https://h.example/a.git"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["branch=main"], "?branch=main"),
        (["branch=a/b c"], "?branch=a/b%20c"),
        (["single-branch=true", "depth=1", "recurse-submodules=true", "insecure-skip-tls=false"], ""),
        (["branch=x,recurse-submodules=false"], "?branch=x&submodules=false"),
        (["branch="], ""),
    ],
)
def test_options_become_a_query(texts, expected):
    assert with_git_options(URL, texts) == URL + expected


def test_what_the_url_says_itself_stays():
    url = with_git_options(f"{URL}?subdir=web#:", ["branch=a&b"])
    source = parse_context_url(url)
    assert (source.ref, source.folder, source.submodules) == ("refs/heads/a&b", "web", True)
    assert with_git_options("git://h.example/a", ["branch=x"]) == "git://h.example/a?branch=x"


def test_other_contexts_are_left_alone():
    for context in ("/workspace/", "dir:///a", "tar://stdin", "https://h.example/a.tar.gz"):
        assert with_git_options(context, ["branch=x"]) == context


@pytest.mark.parametrize("text", ["branches=x", "branch", "single-branch=maybe", "=x"])
def test_what_is_no_option_is_refused(text):
    with pytest.raises(UsageError, match="--git="):
        with_git_options(URL, [text])


def test_tls_is_not_switched_off_for_git():
    with pytest.raises(NotSupportedError) as caught:
        with_git_options(URL, ["insecure-skip-tls=true"])
    assert "GIT_SSL_NO_VERIFY" in caught.value.hint
