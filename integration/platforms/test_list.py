"""A list of images for several platforms: one builds upon another of the same run."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest

from integration.support.builders import BIN
from integration.support.flatten import flatten
from integration.support.images import read_image, read_index
from integration.support.programs import run
from integration.support.registries import RegistryServer

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="arm64 is to be the foreign platform")

FILE = """\
version: 1
defaults:
  insecure: true
  platforms: [linux/amd64, linux/arm64]
builds:
  - name: app
    dockerfile_inline: |
      FROM {host}/list/base:1
      COPY --from=notes note /
    contexts: {{notes: notes}}
    annotations: {{"index:org.example.a": b}}
    destinations: ["{host}/list/app:1"]
    oci_layout: layout
  - name: base
    dockerfile_inline: |
      FROM {multibox}
      COPY <<E /base
      base
      E
    destinations: ["{host}/list/base:1"]
"""


def test_an_index_upon_an_index(multibox: str, registry: RegistryServer, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/note").write_text("note\n")
    (tmp_path / "builds.yaml").write_text(FILE.format(host=registry.host, multibox=multibox))
    run([BIN / "krunner", "builds.yaml"], cwd=tmp_path, env={**os.environ, "KRUNNER_HOME": str(tmp_path / "home")})
    index = read_index(tmp_path / "layout")
    assert index["annotations"] == {"org.example.a": "b"}
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]
    for entry in index["manifests"]:
        image = read_image(tmp_path / "layout", entry["digest"])
        assert image.config["architecture"] == entry["platform"]["architecture"]
        assert {"/base", "/note", "/bin/busybox"} <= set(flatten(image))
    result = json.loads((tmp_path / "krunner-report/result.json").read_text())["images"]["app"]
    pushed = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/list/app:1"])
    assert json.loads(pushed) == index
    assert result["pushed"] == [f"{registry.host}/list/app:1@{result['digest']}"]
    assert [each["digest"] for each in result["manifests"]] == [entry["digest"] for entry in index["manifests"]]
