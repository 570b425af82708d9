"""Keys: each field counts, nothing else does, and the document says why a key is what it is."""

import dataclasses
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.cache.key import (
    CacheKey,
    Command,
    LayerRules,
    base_key,
    copy_key,
    run_key,
    value_digests,
    workdir_key,
)
from executor.image.digest import Digest
from executor.image.platform import Platform

LINUX = Platform.parse("linux/amd64")
BASE = base_key(LINUX, [Digest.of(b"a")], LayerRules())
COMMAND = Command(
    argv=("/bin/sh", "-c", "make"), scripts={}, environment={"A": "1"}, cwd="/src", user="", flags={"network": ""}
)
COPY = {
    "inputs": [{"file": "ab", "name": "x"}],
    "flags": {"chown": "", "excludes": []},
    "destination": "/d",
    "cwd": "/",
}


def test_a_key_is_the_digest_of_its_document():
    key = run_key(BASE, COMMAND)
    assert key.hex == hashlib.sha256(key.document.encode()).hexdigest()
    assert len(key.hex) == 64
    assert key.fields()["parent"] == BASE.hex
    assert key.fields()["argv"] == ["/bin/sh", "-c", "make"]


def test_keys_stay_what_they_are_from_version_to_version():
    """Changing these by accident throws every cache away; on purpose, raise key.VERSION."""
    assert BASE.hex == "d76bc47e9c2a45bfdfd7126680eeb363154f3fe23bb9b5208fe242747d0436a2"
    assert run_key(BASE, COMMAND).hex == "8f0c809f40173d19b8f9bbc285d7ce660bf1758043b8e3f3fc9987f4f17c8ba7"
    assert copy_key(BASE, "copy", **COPY).hex == "c84a598c051828ab80c96a2cea611af4603dee285ec891472d1ee8d8001a6304"
    assert (
        workdir_key(BASE, path="/w", user="u").hex
        == "092a891f4ad3e01a65c255d2688c0df32f2d9afae30e6b400f7cb9ca54d19454"
    )


@pytest.mark.parametrize(
    "other",
    [
        base_key(Platform.parse("linux/arm64"), [Digest.of(b"a")], LayerRules()),
        base_key(LINUX, [Digest.of(b"b")], LayerRules()),
        base_key(LINUX, [], LayerRules()),
        base_key(LINUX, [Digest.of(b"a"), Digest.of(b"a")], LayerRules()),
        base_key(LINUX, [Digest.of(b"a")], LayerRules(squashed=True)),
        base_key(LINUX, [Digest.of(b"a")], LayerRules(reproducible=True)),
        base_key(LINUX, [Digest.of(b"a")], LayerRules(epoch=0)),
        base_key(LINUX, [Digest.of(b"a")], LayerRules(snapshot_mode="time")),
        base_key(LINUX, [Digest.of(b"a")], LayerRules(single_snapshot=True)),
        base_key(LINUX, [Digest.of(b"a")], LayerRules(ignore_paths=("/x",))),
    ],
)
def test_base_and_layer_rules_count(other):
    assert other.hex != BASE.hex
    assert run_key(other, COMMAND).hex != run_key(BASE, COMMAND).hex, "and so for all that follows"


def test_the_order_of_ignored_paths_does_not_count():
    one, two = (base_key(LINUX, [], LayerRules(ignore_paths=paths)) for paths in (("/a", "/b"), ("/b", "/a")))
    assert one == two


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ("/bin/sh", "-c", "make ")},
        {"argv": ("/bin/bash", "-c", "make")},
        {"argv": ("/bin/sh", "-c make")},
        {"scripts": {"/dev/pipes/EOF": b"#!/bin/sh\n"}},
        {"environment": {"A": "2"}},
        {"environment": {"A": "1", "B": ""}},
        {"environment": {}},
        {"cwd": "/"},
        {"user": "root"},
        {"flags": {"network": "none"}},
        {"flags": {"mounts": [{"type": "cache"}]}},
    ],
)
def test_all_of_a_command_counts(change):
    assert run_key(BASE, dataclasses.replace(COMMAND, **change)).hex != run_key(BASE, COMMAND).hex


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [{"file": "cd", "name": "x"}]},
        {"inputs": [{"file": "ab", "name": "y"}]},
        {"inputs": []},
        {"flags": {"chown": "1:2", "excludes": []}},
        {"flags": {"chown": "", "excludes": ["x"]}},
        {"destination": "/d/"},
        {"cwd": "/d"},
    ],
)
def test_all_of_a_copy_counts(change):
    assert copy_key(BASE, "copy", **{**COPY, **change}).hex != copy_key(BASE, "copy", **COPY).hex


def test_add_is_not_copy_and_parents_count():
    assert copy_key(BASE, "add", **COPY).hex != copy_key(BASE, "copy", **COPY).hex
    assert workdir_key(BASE, path="/a", user="").hex != workdir_key(BASE, path="/a", user="1").hex
    assert workdir_key(run_key(BASE, COMMAND), path="/a", user="").hex != workdir_key(BASE, path="/a", user="").hex


def test_flags_that_are_not_written_do_not_count():
    """A flag of a later version must not change the keys of Dockerfiles without it."""
    more = {**COPY, "flags": {**COPY["flags"], "of-a-later-version": None, "another": False}}
    assert copy_key(BASE, "copy", **more) == copy_key(BASE, "copy", **COPY)


def test_values_are_not_in_the_document():
    key = run_key(BASE, dataclasses.replace(COMMAND, environment={"TOKEN": "s3cret"}, scripts={"/s": b"s3cret"}))
    assert "s3cret" not in key.document
    assert "TOKEN" in key.document


variables = st.dictionaries(st.text(), st.text(st.characters(exclude_categories=())))


@given(variables, variables)
def test_environments_are_equal_when_their_keys_are(first, second):
    one, two = (run_key(BASE, dataclasses.replace(COMMAND, environment=each)) for each in (first, second))
    assert (one == two) == (value_digests(first) == value_digests(second))
    assert (value_digests(first) == value_digests(second)) == (first == second)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.text())))
def test_documents_are_canonical(fields):
    fields = {name: value for name, value in fields.items() if name not in ("version", "parent", "step", "cls")}
    key = CacheKey.of(None, "x", **fields)
    assert key == CacheKey.of(None, "x", **dict(reversed(fields.items())))
    assert json.dumps(json.loads(key.document), sort_keys=True, separators=(",", ":")) == key.document
