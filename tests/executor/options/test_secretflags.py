"""--secret and --ssh as Docker's command line reads them."""

from __future__ import annotations

import os

import pytest

from executor.errors import UsageError
from executor.options.secretflags import parse_agents, parse_secrets
from executor.spec import SecretSource


@pytest.mark.parametrize(
    ("text", "path", "env"),
    [
        ("id=a,src=/f", "/f", ""),
        ("id=a,source=f", os.path.abspath("f"), ""),
        ("type=file,id=a,src=/f", "/f", ""),
        ("id=a,env=NAME", "", "NAME"),
        ("type=env,id=a,src=NAME", "", "NAME"),
        ("type=env,id=a,env=NAME", "", "NAME"),
        ("id=a", os.path.abspath("a"), ""),
        ("id=SET", "", "SET"),
        ("type=file,id=SET", os.path.abspath("SET"), ""),
        ('id=a,"src=/with,comma"', "/with,comma", ""),
    ],
)
def test_secrets(text, path, env):
    (found,) = parse_secrets([text], {"SET": "value"})
    assert found == SecretSource(id=found.id, path=path, env=env)
    assert "value" not in repr(found)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["src=/f"], "no id"),
        ([""], "no id"),
        (["id=a,what=s3cret"], "is not id="),
        (["id=a,src"], "is not id="),
        (["s3cret"], "is not id="),
        (["src=s3cret"], "no id"),
        (["id=a,src=f,env=B"], "both a file and a variable"),
        (["id=a,type=x"], "file or env, not 'x'"),
        (['id=a,"src'], "unexpected end"),
        (["id=a,src=1", "id=a,src=2"], "the id 'a' twice"),
    ],
)
def test_bad_secrets(texts, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        parse_secrets(texts, {})
    assert "s3cret" not in caught.value.describe()


def test_agents():
    assert parse_agents(["default", "other=/run/s"]) == {"default": "", "other": "/run/s"}


@pytest.mark.parametrize(
    ("texts", "reason"),
    [(["=x"], "no id"), (["a=k1,k2"], "several keys"), (["a", "a"], "the id 'a' twice")],
)
def test_bad_agents(texts, reason):
    with pytest.raises(UsageError, match=reason):
        parse_agents(texts)
