"""Platforms: normal forms and their equality."""

from __future__ import annotations

import pytest

from executor.errors import UsageError
from executor.image.platform import Platform


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("Linux/ARM64", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("linux/s390x", "linux/s390x"),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    platform = Platform.parse(text)
    assert str(platform) == normal
    assert platform.normalized() == platform
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize("text", ["", "linux/", "/amd64", "linux/arm/v7/x", "linux//v7"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a platform"):
        Platform.parse(text)


def test_this_machine_has_a_platform() -> None:
    assert Platform.parse("linux") == Platform.host() == Platform.parse(str(Platform.host()))


def test_an_image_serves_equal_platforms_only() -> None:
    assert Platform("linux", "arm64", "v8").serves(Platform("linux", "arm64"))
    assert not Platform("linux", "arm", "v6").serves(Platform("linux", "arm", "v7"))
    assert not Platform("windows", "amd64").serves(Platform("linux", "amd64"))


def test_json_leaves_empty_fields_out() -> None:
    assert Platform("linux", "arm", "v7").to_json() == {"architecture": "arm", "os": "linux", "variant": "v7"}
    assert Platform("linux", "amd64").to_json() == {"architecture": "amd64", "os": "linux"}
