"""References: docker's short forms, their inverse, and errors that name the wrong part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import UsageError
from executor.image.digest import Digest
from executor.image.reference import Reference

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/team/app:1", "docker.io/team/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry.example.com/a/b/c:v1", "registry.example.com/a/b/c:v1"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"host:5000/app:1@{DIGEST}", f"host:5000/app:1@{DIGEST}"),
    ],
)
def test_short_names_get_their_full_form(text: str, full: str) -> None:
    assert str(Reference.parse(text)) == full


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "repository name"),
        ("Team/App", "repository name"),
        ("host.example/UPPER", "UPPER"),
        ("app:", "tag"),
        ("app:-x", "tag"),
        ("app:" + "x" * 129, "tag"),
        ("app@sha256:12", "digest"),
        ("host.example//app", "repository name"),
        ("http://host.example/app", "host"),
        ("host.example:port/app", "host"),
        ("a b", "repository name"),
    ],
)
def test_errors_name_the_wrong_part(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Reference.parse(text)


_component = st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+){0,2}", fullmatch=True)
_references = st.builds(
    Reference,
    st.sampled_from(["docker.io", "localhost:5000", "registry.example.com", "10.0.0.1:80"]),
    st.lists(_component, min_size=2, max_size=4).map("/".join),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.one_of(st.none(), st.binary(max_size=4).map(Digest.of)),
)


@given(_references)
def test_writing_and_reading_are_inverse(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference


def test_the_selector_is_the_digest_where_there_is_one() -> None:
    reference = Reference.parse("app:1")
    assert reference.selector == "1"
    assert reference.with_digest(Digest.parse(DIGEST)).selector == DIGEST


def test_familiar_keeps_what_would_look_like_a_host() -> None:
    assert Reference.parse("docker.io/a.b/app:1").familiar() == "docker.io/a.b/app:1"


def test_familiar_drops_what_docker_assumes() -> None:
    assert Reference.parse("docker.io/library/busybox:1").familiar() == "busybox:1"
    assert Reference.parse("docker.io/team/app:1").familiar() == "team/app:1"
    assert Reference.parse("host:1/team/app:1").familiar() == "host:1/team/app:1"
