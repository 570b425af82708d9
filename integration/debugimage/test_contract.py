"""The contract of all drivers, kept by in-place: pytest runs in a container of the image, by its interpreter."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from integration.support import krunner_image
from integration.support.builders import Docker
from integration.support.container import started
from integration.support.outside import differences, look_at

_PYTHON = "/kaniko/python/bin/python3.11"
# What of the standard library the image lacks comes last.
_PYTEST = """
import sys
sys.path += ["/mnt/packages", "/mnt/library"]
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_in_place_keeps_the_contract(krunner_images: Docker, work: Path) -> None:
    if sysconfig.get_python_version() != "3.11":
        pytest.skip("the image's interpreter is 3.11 and borrows pytest and modules from this one")
    workspace = work / "contract" / "workspace"
    workspace.mkdir(parents=True)
    paths = sysconfig.get_paths()
    mounts = {
        krunner_image.ROOT: "/mnt/source",
        paths["purelib"]: "/mnt/packages",
        paths["stdlib"]: "/mnt/library",
    }
    volumes = [f"--volume={Path(folder).resolve()}:{place}:ro" for folder, place in mounts.items()]
    environment = ("--env=KRUNNER_TEST_DRIVERS=in-place", "--env=TMPDIR=/kaniko/tmp", "--tmpfs=/var/tmp/unused")
    with started(krunner_images, workspace, *volumes, *environment) as container:
        before = look_at(container)
        words = ("-p", "no:cacheprovider", "--rootdir=/mnt/source", "--color=no", "-q", "-k", "not a_full_disk")
        test = "/mnt/source/integration/drivers/test_contract.py"
        done = container.run(_PYTHON, "-IXutf8", "-c", _PYTEST, *words, test)
        assert done.status == 0, done.output
        assert " passed" in done.output
        changed = differences(look_at(container), before)
        assert changed.keys() <= {b"kaniko/tmp", b"var/tmp"}  # where pytest and the tests have their files
