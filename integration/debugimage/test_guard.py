"""Outside of a container of our image nothing makes the in-place driver touch `/`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from integration.support.builders import BIN


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ((), {}),
        (("--force",), {}),
        (("--force", "--cleanup"), {"container": "docker"}),
        (("--force",), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}),
    ],
)
def test_it_refuses_this_machine(
    flags: tuple[str, ...], environment: dict[str, str], tmp_path: Path, base_host: str
) -> None:
    before = sorted(os.listdir("/"))
    (tmp_path / "Dockerfile").write_text(f"FROM {base_host}/busybox\nRUN touch /taken\n")
    done = subprocess.run(
        [BIN / "executor", f"--context={tmp_path}", "--rootfs=in-place", "--no-push", "--insecure-pull", *flags],
        env={**os.environ, **environment, "KRUNNER_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stdout
    assert "must not be taken over" in done.stdout
    assert sorted(os.listdir("/")) == before
