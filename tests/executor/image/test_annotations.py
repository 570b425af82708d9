"""`--annotation`: which part of an image an annotation is for."""

import pytest

from executor.errors import UsageError
from executor.image.annotations import parse_annotations
from executor.image.platform import Platform

ARM = Platform("linux", "arm64")
AMD = Platform("linux", "amd64")


def test_without_a_kind_it_is_the_manifest():
    made = parse_annotations({"org.example.a": "1"})
    assert made.on("manifest", ARM) == made.on("manifest") == {"org.example.a": "1"}
    assert made.on("index") == made.on("manifest-descriptor") == {}


def test_several_kinds_and_platforms():
    made = parse_annotations(
        {
            "index,manifest:a": "all",
            "manifest[linux/arm64/v8],manifest-descriptor[linux/arm64]:a": "arm",
            "index-descriptor:a": "top",
        }
    )
    assert made.on("manifest", AMD) == {"a": "all"}
    assert made.on("manifest", ARM) == {"a": "arm"}
    assert made.on("manifest-descriptor", AMD) == {}
    assert made.on("manifest-descriptor", ARM) == {"a": "arm"}
    assert made.on("index") == {"a": "all"}
    assert made.on("index-descriptor") == {"a": "top"}
    assert made.platforms() == (ARM,)


def test_a_key_may_hold_colons_and_values_anything():
    assert parse_annotations({"manifest:a:b": "c=d:e"}).on("manifest") == {"a:b": "c=d:e"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("manifests:a", "is for 'manifests'"),
        ("manifest[:a", "is for 'manifest['"),
        (",manifest:a", "is for ''"),
        ("manifest:", "has no key"),
        ("index[linux/arm64]:a", "has no platform"),
        ("manifest[a/b/c/d]:a", "not a platform"),
    ],
)
def test_faults(text, message):
    with pytest.raises(UsageError) as caught:
        parse_annotations({text: "x"})
    assert message in caught.value.message
