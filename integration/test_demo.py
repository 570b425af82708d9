"""`make demo` as a user sees it, and a real Debian as a base."""

from __future__ import annotations

import subprocess
from pathlib import Path

from integration.support.builders import ROOT, Executor
from integration.support.flatten import flatten
from integration.support.images import read_layout


def test_the_demo_builds_pushes_pulls_back_and_runs() -> None:
    before = set((ROOT / ".cache").glob("demo.*"))
    done = subprocess.run(
        [ROOT / "scripts" / "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 images" in done.stdout
    assert "hello, krunner, from version 1.0" in done.stdout
    assert set((ROOT / ".cache").glob("demo.*")) == before, "the demo leaves its files"


def test_a_debian_base(executor: Executor, debian_host: str, tmp_path: Path) -> None:
    """The tools of a real distribution work in RUN, and what they change arrives."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM {debian_host}/debian\n"
        "RUN dpkg --audit && adduser --system --quiet runner && dpkg --remove --force-depends tzdata\n"
        "USER runner\n"
        "RUN id -un > /tmp/who && cat /proc/self/comm >> /tmp/who\n"
    )
    layout = tmp_path / "layout"
    files = [f"--context={context}", f"--dockerfile={context / 'Dockerfile'}"]
    executor.run(*files, "--no-push", f"--oci-layout-path={layout}")
    image = read_layout(layout)
    tree = flatten(image)
    assert tree["/tmp/who"].size == len("runner\ncat\n")
    assert tree["/tmp/who"].uid >= 100
    assert "/usr/share/zoneinfo/UTC" not in tree
    assert tree["/usr/bin/passwd"].mode == 0o4755
