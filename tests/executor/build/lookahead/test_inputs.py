"""What a build says of its keys."""

from executor.build.lookahead.inputs import shown_document
from executor.cache.key import CacheKey


def test_passwords_in_the_urls_of_commands_are_not_shown():
    argv = ["/bin/sh", "-c", 'git clone https://me:hidden@host/x "a\\"b" && curl http://token@host']
    key = CacheKey.of(None, "run", argv=argv)
    shown = shown_document(key)
    assert "hidden" not in str(shown)
    assert shown["argv"][2] == 'git clone https://***@host/x "a\\"b" && curl http://***@host'
    assert {**shown, "argv": argv} == key.fields()
