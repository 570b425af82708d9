"""What is offered to a shell, asked as the shells' scripts ask; integration/report asks the shells themselves."""

from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from runner.commands.group import krunner

BUILDS = """version: 1
builds:
  - {name: web-api, context: ., no_push: true}
  - name: "web-page"
    context: .
    no_push: true
  - {name: base, context: ., no_push: true}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "builds.yaml").write_text(BUILDS)
    (tmp_path / "faulty.yaml").write_text(BUILDS + "  - {name: web-more, nonsense: 1}\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(tmp_path)


def offered(*words):
    """The offers for the last word."""
    *before, incomplete = words
    complete = BashComplete(krunner, {}, "krunner", "_KRUNNER_COMPLETE")
    return [(item.type, item.value) for item in complete.get_completions(before, incomplete)]


def values(*words):
    return [value for _, value in offered(*words)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("vali",), ["validate"]),
        (("comp",), ["completion"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("builds.yaml", "--log-f"), ["--log-format"]),
        (("build", "builds.yaml", "--log-format", "j"), ["json"]),
        (("builds.yaml", "--only", ""), ["web-api", "web-page", "base"]),
        (("builds.yaml", "--only", "web-"), ["web-api", "web-page"]),
        (("build", "--file", "builds.yaml", "--skip", "b"), ["base"]),
        (("plan", "builds.yaml", "--skip", "b"), ["base"]),
        (("builds.yaml", "--only", "base", "--only", "web-p"), ["web-page"]),
        (("faulty.yaml", "--only", "web-"), ["web-api", "web-page", "web-more"]),
        (("missing.yaml", "--only", ""), []),
        (("--only", ""), []),
    ],
)
def test_offers(words, expected):
    assert values(*words) == expected


def test_a_file_where_there_is_no_such_command():
    assert offered("builds.y") == [("file", "builds.y")]
    assert ("plain", "build") in offered("")


def test_files_that_cannot_be_read_offer_nothing(monkeypatch):
    def refuse(*_args):
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert values("faulty.yaml", "--only", "web-") == []
