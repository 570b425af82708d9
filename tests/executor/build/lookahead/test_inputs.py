"""What a build says of its keys."""

from types import SimpleNamespace

import pytest

from executor.build.lookahead import inputs
from executor.build.lookahead.inputs import shown_document, walked
from executor.cache.key import CacheKey
from executor.dockerfile.parser import parse


def test_passwords_in_the_urls_of_commands_are_not_shown():
    argv = ["/bin/sh", "-c", 'git clone https://me:hidden@host/x "a\\"b" && curl http://token@host']
    key = CacheKey.of(None, "run", argv=argv)
    shown = shown_document(key)
    assert "hidden" not in str(shown)
    assert shown["argv"][2] == 'git clone https://***@host/x "a\\"b" && curl http://***@host'
    assert {**shown, "argv": argv} == key.fields()


def test_a_url_without_a_password_leaves_the_fields_beside_it_as_they_are():
    key = CacheKey.of(None, "run", argv=["wget", "https://host"], user="me@there")
    assert shown_document(key) == key.fields()


class FakeWalk:
    """A walk that notes which stages it visits."""

    def __init__(self, *_parts):
        self.visited = []

    def visit(self, planned):
        self.visited.append(planned)


def walk_of(monkeypatch, text, cache=None):
    monkeypatch.setattr(inputs, "KeyWalk", FakeWalk)
    plan = SimpleNamespace(stages=[SimpleNamespace(stage=stage) for stage in parse(text).stages])
    build = SimpleNamespace(spec=SimpleNamespace(tell_inputs=False))
    return walked(build, plan, None, cache, None), plan


@pytest.mark.parametrize("source", ["https://x.test/a", "https://x.test/a.git#v1", "git@x.test:a"])
def test_servers_are_not_asked_only_to_be_able_to_tell(monkeypatch, source):
    text = f"FROM scratch\nADD file /\nCOPY https://x.test/a /\nFROM scratch\nADD a {source} /\n"
    assert walk_of(monkeypatch, text)[0] is None
    walk, plan = walk_of(monkeypatch, text.replace(source, "b"))
    assert walk.visited == plan.stages


def test_a_cache_looks_up_what_the_walk_finds(monkeypatch):
    found = []
    cache = SimpleNamespace(find_keys=lambda walk, plan: found.append((walk, plan)))
    walk, plan = walk_of(monkeypatch, "FROM scratch\nADD https://x.test/a /\n", cache)
    assert found == [(walk, plan)]
    assert walk.visited == []
