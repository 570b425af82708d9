"""Where a build's layer cache is: what was asked for, in the order in which places are asked."""

import pytest

from executor.build.lookahead.buildcache import cache_repositories
from executor.errors import UsageError
from executor.spec import BuildSpec, CacheOptions, OutputSpec


def places(destination="", **options):
    output = OutputSpec(destinations=(destination,) if destination else ())
    return cache_repositories(BuildSpec(context=".", output=output, cache=CacheOptions(enabled=True, **options)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"destination": "r.io/app:1"}, ("r.io/app/cache",)),
        ({"destination": "r.io/app", "repositories": ("a/b", "oci:/c")}, ("a/b", "oci:/c")),
        ({"destination": "r.io/app", "sources": ("a/b",)}, ()),
        ({"folder": "/cache"}, ("dir:/cache/layers",)),
        ({"folder": "/cache", "destination": "r.io/app"}, ("dir:/cache/layers", "r.io/app/cache")),
        ({"folder": "/cache", "repositories": ("a/b",)}, ("dir:/cache/layers", "a/b")),
        ({"folder": "/cache", "sources": ("a/b",)}, ("dir:/cache/layers",)),
    ],
)
def test_places(options, expected):
    assert places(**options) == expected


def test_no_place():
    with pytest.raises(UsageError, match="without a place"):
        places()
