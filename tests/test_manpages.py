"""The pages of the manual are those of the commands as they are, and a formatter finds no fault in them."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.commands.names import COMMANDS

ROOT = Path(__file__).parents[1]


def generator():
    spec = importlib.util.spec_from_file_location("manpages", ROOT / "scripts" / "manpages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MANPAGES = generator()
PAGES = MANPAGES.pages()


@pytest.mark.parametrize("name", PAGES)
def test_it_says_what_the_command_says(name):
    assert (ROOT / "man" / name).read_text() == PAGES[name], "run `make man`"


def test_every_command_option_and_exit_code_is_there():
    text = PAGES["krunner.1"].replace(r"\-", "-")
    for word in COMMANDS:
        assert f".SS krunner {word}" in text
    for word in (
        "--events-file",
        "--report-dir",
        "KRUNNER_REPORT_DIR",
        r"\fB75\fR",
        r"\fB130, 143\fR",
        "NO_COLOR",
    ):
        assert word in text
    assert "--destination" in PAGES["executor.1"].replace(r"\-", "-")


@pytest.mark.parametrize("name", PAGES)
def test_a_formatter_has_nothing_to_complain_of(name):
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    words = ["groff", "-man", "-Tutf8", "-ww", "-rCHECKSTYLE=3", "-z"]
    done = subprocess.run(words, input=PAGES[name], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "roff"),
    [("a-b", r"a\-b"), (r"C:\x", r"C:\ex"), (".x\n'y", "\\&.x\n\\&'y"), ("x.", "x."), ("a…", r"a\[u2026]")],
)
def test_escaping(text, roff):
    assert MANPAGES.escaped(text) == roff
    assert not re.search(r"^[.']", roff, re.MULTILINE)
