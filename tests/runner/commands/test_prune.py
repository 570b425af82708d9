"""`krunner prune`: its options, what it says; and the size of the store in `krunner build`."""

import contextlib
import json

import pytest
from jsonschema import Draft202012Validator

from executor.spec import CacheOptions, PruneResult, PruneSpec
from runner.buildsfile import schema
from runner.cli import main
from runner.executor import Executor


@pytest.fixture
def asked():
    return []


@pytest.fixture
def krunner(asked):
    def prune(home, wanted):
        asked.append((home, wanted))
        return PruneResult(removed={"blob": 2, "cache mount": 1}, freed=3_400_000, left=12)

    def krunner(*words):
        return main(words, executor=Executor(load_entry=None, base_images=None, prune=prune))

    return krunner


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), PruneSpec()),
        (("--all", "--dry-run"), PruneSpec(everything=True, dry_run=True)),
        (("--keep-storage=1.5GB",), PruneSpec(keep=1_500_000_000)),
        (("--keep-storage=0", "--older-than=2d"), PruneSpec(keep=0, older_than=172_800.0)),
        (
            ("--cache=dir:/a", "--cache", "oci:/b", "--all"),
            PruneSpec(everything=True, caches=(("dir:/a", CacheOptions()), ("oci:/b", CacheOptions()))),
        ),
    ],
)
def test_options(krunner, asked, monkeypatch, words, wanted):
    monkeypatch.delenv("KRUNNER_HOME", raising=False)
    assert krunner("prune", *words) == 0
    assert asked == [("", wanted)]


LIST = """\
version: 1
defaults: {no_push: true, cache: {repositories: ["dir:a", "r.example/x/cache"], ttl: 30d, size: 5GB}}
builds:
  - {name: one}
  - {name: two}
  - {name: three, cache: {repositories: ["oci:b"], from: ["dir:c"], ttl: 1d}}
  - {name: four, cache: {repositories: ["dir:d"], push: false}}
  - {name: five, cache: {repositories: ["dir:not-there"]}}
"""


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A folder with a list, and with the caches `a` to `d`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "builds.yaml").write_text(LIST)
    for name in "abcd":
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_caches_in_folders_that_a_list_writes_to(krunner, asked, listed):
    assert krunner("prune", "builds.yaml", "--keep-storage=1GB") == 0
    ((_, wanted),) = asked
    assert wanted.keep == 1_000_000_000
    assert [(place, options.ttl, options.size) for place, options in wanted.caches] == [
        (f"dir:{listed}/a", 30 * 86400.0, 5_000_000_000),
        (f"oci:{listed}/b", 86400.0, 5_000_000_000),
    ]


def test_the_store_is_left_alone_where_a_list_has_no_cache_yet(krunner, asked, listed, capsys):
    for name in "ab":
        (listed / name).rmdir()
    assert krunner("prune", "builds.yaml") == 0
    assert "freed 0 B" in capsys.readouterr().out
    assert asked == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("builds.yaml", "--set=*.cache=false"), "writes to a layer cache in a folder"),
        (("bilds.yaml",), "did you mean builds.yaml?"),
        (("--set=*.cache=false",), "none is named"),
    ],
)
def test_a_list_without_caches(krunner, asked, listed, capsys, words, message):
    assert krunner("prune", *words) == 2
    assert message in capsys.readouterr().err
    assert asked == []


def test_what_it_says(krunner, capsys, tmp_path, asked):
    krunner("prune", f"--home={tmp_path}")
    assert capsys.readouterr().out.split("\n") == [
        "     2 blobs",
        "     1 cache mount",
        "freed 3.4 MB, 12 B left",
        "",
    ]
    assert asked[0][0] == str(tmp_path)
    krunner("prune", "--dry-run")
    assert "would free 3.4 MB" in capsys.readouterr().out


def test_json_is_as_its_schema_says(krunner, capsys):
    kind = json.loads(schema.text("prune"))
    Draft202012Validator.check_schema(kind)
    for words, dry_run in (((), False), (("--dry-run",), True)):
        assert krunner("prune", "--json", *words) == 0
        document = json.loads(capsys.readouterr().out)
        assert [error.message for error in Draft202012Validator(kind).iter_errors(document)] == []
        removed = {"blob": 2, "cache mount": 1}
        assert document == {
            "version": 1,
            "dry_run": dry_run,
            "removed": removed,
            "freed": 3_400_000,
            "left": 12,
        }


@pytest.mark.parametrize("words", [("--keep-storage=much",), ("--older-than=3",), ("--older-than=xd",)])
def test_usage(krunner, capsys, words):
    assert krunner("prune", *words) == 2
    assert "is not a" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "size"), [((), None), (("--store-size=5GB",), 5_000_000_000)])
def test_a_run_is_a_session_of_the_store(monkeypatch, tmp_path, words, size):
    """The session begins before the first build and ends after the last."""
    from runner.commands import build

    told = []

    @contextlib.contextmanager
    def session(home, wanted):
        told.append((home, wanted))
        yield
        told.append("end")

    class Scheduler:
        def __init__(self, *_parts):
            pass

        def run(self):
            told.append("run")
            return type("Done", (), {"exit_code": 0})

    monkeypatch.setattr(build, "Scheduler", Scheduler)
    monkeypatch.delenv("KRUNNER_STORE_SIZE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "b.yaml").write_text("version: 1\nbuilds: [{name: a, no_push: true}]\n")
    executor = Executor(load_entry=lambda: None, base_images=lambda _spec: (), store_session=session)
    words = ("b.yaml", f"--home={tmp_path}/home", "--report-dir=", *words)
    assert main(words, executor=executor) == 0
    assert told == [(f"{tmp_path}/home", size), "run", "end"]
