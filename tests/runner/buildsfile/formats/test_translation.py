"""The same project in four formats gives the same plan; what other formats have and krunner has not is a fault."""

import json
from pathlib import Path

import pytest

from executor.errors import InvalidFileError, UsageError
from executor.spec import CacheOptions, SecretSource
from runner.buildsfile import config
from runner.cli import main
from runner.model import Overrides

EXAMPLES = Path(__file__).parents[4] / "examples" / "formats"
FORMATS = ("builds.yaml", "docker-bake.json", "docker-bake.hcl", "compose.yaml")


@pytest.mark.parametrize("environment", [{}, {"REGISTRY": "r.example:5", "VERSION": "2.10"}], ids=["usual", "set"])
@pytest.mark.parametrize("name", FORMATS[1:])
def test_the_same_builds(name, environment):
    ours, theirs = (config.load(str(EXAMPLES / file), environment, Overrides()) for file in ("builds.yaml", name))
    assert [image.build for image in theirs.images] == [image.build for image in ours.images]
    assert [image.needs for image in theirs.images] == [image.needs for image in ours.images]
    assert [image.references for image in theirs.images] == [image.references for image in ours.images]


def test_the_same_plan(capsys):
    plans = set()
    for name in FORMATS:
        assert main(["plan", str(EXAMPLES / name)]) == 0
        plans.add(capsys.readouterr().out)
    assert len(plans) == 1
    assert "3 web   needs base" in plans.pop()


@pytest.fixture
def load(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    def loaded(name, text, environment=(), **options):
        (tmp_path / name).write_text(text)
        return config.load(str(tmp_path / name), dict(environment), Overrides(), **options)

    return loaded


def faults(load, name, text):
    with pytest.raises(InvalidFileError) as caught:
        load(name, text)
    return [(d.location.line, d.message) for d in caught.value.diagnostics]


def test_bake(load, tmp_path):
    run = load(
        "docker-bake.hcl",
        """\
group "default" { targets = ["a", "m"] }
group "all" { targets = ["default", "other"] }
target "_t" { args = { X = 1, GONE = "x" } }
target "a" {
  inherits = ["_t"]
  description = "text"
  args = { Y = "$HOME", GONE = null }
  annotations = ["index:k=v=w"]
  dockerfile-inline = "FROM scratch"
  no-cache = true
  pull = true
  network = "default"
  output = ["type=docker,dest=o.tar"]
  ssh = ["default"]
  secret = [{ id = "s", src = "f" }]
}
target "m" {
  name = "m-${v}"
  matrix = { v = ["1", "2"] }
}
target "other" {}
""",
        {"HOME": "/root"},
    )
    images = {image.name: image for image in run.images}
    assert list(images) == ["a", "m-1", "m-2", "other"]
    build = images["a"].build
    assert build.build_args == {"X": "1", "Y": "$HOME", "GONE": "x"}
    assert (build.annotations, build.dockerfile_text) == ({"index:k": "v=w"}, "FROM scratch")
    assert (build.output.tar_path, build.cache) == (str(tmp_path / "o.tar"), CacheOptions())
    assert build.secrets == (SecretSource(id="s", path=str(tmp_path / "f")),)
    assert run.groups == {
        "default": ("a", "m-1", "m-2"),
        "all": ("a", "m-1", "m-2", "other"),
        "m": ("m-1", "m-2"),
    }


def test_what_bake_has_and_krunner_has_not(load):
    text = (
        'target "a" {\n  attest = ["type=sbom"]\n  network = "host"\n  shm-size = "1g"\n'
        '  cache-to = ["type=gha"]\n  contxt = "."\n}\n'
    )
    assert faults(load, "docker-bake.hcl", text) == [
        (2, "`attest` of Bake is not supported"),
        (3, "`network` of Bake is not supported"),
        (4, "`shm-size` of Bake is not supported"),
        (5, "a cache of type 'gha' is not supported"),
        (6, "`contxt` of Bake is not supported"),
    ]


def test_compose(load, tmp_path):
    run = load(
        "compose.yaml",
        """\
x-build: &build {context: ., args: [A=1, FROM_ENV, GONE]}
services:
  a:
    image: r.io/a
    platform: linux/arm64
    build:
      <<: *build
      labels: [k=v]
      tags: ["r.io/a:${TAG}"]
      pull: true
      no_cache: true
      secrets: [f, {source: e, target: id}]
      x-mine: 1
    deploy: {replicas: 2}
  b:
    build: .
  not-built: {image: postgres}
secrets:
  f: {file: f.txt}
  e: {environment: E}
""",
        {"TAG": "3", "FROM_ENV": "$x"},
    )
    first, second = run.images
    assert first.references == ("r.io/a:latest", "r.io/a:3")
    assert first.build.build_args == {"A": "1", "FROM_ENV": "$x"}
    assert (first.build.labels, first.build.platforms) == ({"k": "v"}, ("linux/arm64",))
    assert first.build.secrets == (
        SecretSource(id="f", path=str(tmp_path / "f.txt")),
        SecretSource(id="id", env="E"),
    )
    assert (second.name, second.build.context, second.build.output.no_push) == ("b", str(tmp_path), True)


def test_what_compose_has_and_krunner_has_not(load):
    text = (
        "services:\n"
        "  a:\n"
        "    extends: {service: b}\n"
        "    build:\n"
        "      context: .\n"
        "      privileged: true\n"
        "      secrets: [nowhere]\n"
        "      platforms: [amd64]\n"
        "include: [other.yaml]\n"
    )
    assert faults(load, "compose.yaml", text) == [
        (3, "`extends` of Compose is not supported"),
        (6, "`build.privileged` of Compose is not supported"),
        (7, "the secret 'nowhere' has no place"),
        (8, "must be os/architecture or os/architecture/variant, not 'amd64'"),
        (9, "`include` of Compose is not supported"),
    ]


def test_formats_can_be_named(load):
    bake = json.dumps({"target": {"a": {"tags": ["r.io/a"]}}})
    assert load("file", bake).images[0].references == ("r.io/a:latest",)
    assert load("file", bake, file_format="bake").images
    assert load("file", 'target "a" { tags = ["r.io/b"] }', file_format="hcl").images[0].references == (
        "r.io/b:latest",
    )
    with pytest.raises(InvalidFileError):
        load("file", bake, file_format="builds")


def test_files_of_several_formats(load, tmp_path):
    (tmp_path / "over.yaml").write_text("version: 1\nbuilds: [{name: web, tags: [r.io/over]}]\n")
    (tmp_path / "compose.yaml").write_text(
        "services: {web: {image: r.io/web, build: {context: ., args: {A: 1}}}}\n"
    )
    files = [str(tmp_path / name) for name in ("compose.yaml", "over.yaml")]
    (image,) = config.load(files, {}, Overrides()).images
    assert (image.references, image.build.build_args) == (("r.io/over:latest",), {"A": "1"})


def test_hcl_without_its_library(load, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "hcl2.api", None)
    with pytest.raises(UsageError, match="needs the library python-hcl2") as caught:
        load("docker-bake.hcl", 'target "a" {}')
    assert "krunner-images[hcl]" in caught.value.hint
