"""Completion in the shells themselves: what bash, zsh and fish offer after a Tab, read from a terminal (tmux)."""

import time
from pathlib import Path

import pytest

from integration.report.tmux import Window

BIN = Path(__file__).parents[2] / ".venv" / "bin"
BUILDS = """version: 1
builds:
  - {name: web-api, context: ., no_push: true}
  - {name: web-page, context: ., no_push: true}
  - {name: base, context: ., no_push: true}
"""
STARTS = {
    "bash": "bash --norc --noprofile -i",
    "zsh": "zsh -f -i",
    "fish": "fish --no-config -i",
}
SETUPS = {
    "bash": 'source <(krunner completion bash)',
    "zsh": "autoload -Uz compinit; compinit -u -D; krunner completion zsh > _krunner; source ./_krunner",
    "fish": "krunner completion fish | source",
}  # fmt: skip


class Shell:
    """An interactive shell in a terminal."""

    def __init__(self, name: str, folder: Path):
        (folder / "builds.yaml").write_text(BUILDS)
        (folder / "Dockerfile").write_text("FROM scratch\n")
        start = f"PATH={BIN}:$PATH HOME={folder} exec {STARTS[name]}"
        self.window = Window(folder, start, columns=120, lines=40)
        time.sleep(0.5)
        self.window.keys(f"{SETUPS[name]}; echo re''ady", "Enter")
        self.window.until("\nready")

    def tab(self, words: str, *expected: str) -> None:
        """Type `words` and two Tabs; then give the line up."""
        self.window.keys("clear", "Enter")
        time.sleep(0.3)
        self.window.keys("-l", words)
        for _ in range(2):
            self.window.keys("Tab")
            time.sleep(0.3)
        self.window.until(*expected)
        self.window.keys("C-c")


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, tmp_path):
    made = Shell(request.param, tmp_path)
    yield made
    made.window.close()


def test_completion(shell):
    shell.tab("krunner vali", "krunner validate")
    shell.tab("krunner builds", "krunner builds.yaml")
    shell.tab("krunner build builds.yaml --log-f", "--log-format")
    shell.tab("krunner builds.yaml --only web-", "web-api", "web-page")
    shell.tab("krunner builds.yaml --skip ba", "--skip base")
