"""After sealing nothing of the program is on a disk only, and nothing is looked for there."""

from __future__ import annotations

import compileall
import subprocess
import sys
from pathlib import Path

import pytest

from executor.errors import UnfitError
from executor.modulefile import pack
from executor.rootfs.inplace import sealing

_SCRIPT = """
import os, sys
from executor.modulefile import ModuleFile
from executor.rootfs.inplace.sealing import begin_sealing, seal
folder, *beside = sys.argv[1:]
sys.meta_path.insert(0, ModuleFile(f"{folder}/modules"))
sys.path.append(f"{folder}/other")
if beside:
    begin_sealing()
    import executor.errors
seal()
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
with open(f"{folder}/modules", "wb"):
    opened.clear()
import kept_m
print(kept_m.value)
for name in ("swapped_m", "wave"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error.name)
from isal import igzip, isal_zlib
import zstandard, _ssl, _bz2
seal()
print(opened)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A module in the file, and beside it one on the disk that a command could have put there."""
    (tmp_path / "kept_m.py").write_text("value = 'from memory'\n")
    compileall.compile_dir(tmp_path, quiet=1, legacy=True)
    pack(str(tmp_path))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "swapped_m.py").write_text("print('from a disk')\n")
    return tmp_path


@pytest.mark.parametrize("beside", [(), ("begun in the background",)])
def test_after_sealing_modules_come_from_memory_and_from_nowhere_else(
    folder: Path, beside: tuple[str, ...]
) -> None:
    words = [sys.executable, "-c", _SCRIPT, str(folder), *beside]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("from memory\nswapped_m\nwave\n[]\n", "")


def test_without_the_file_nothing_runs_in_place() -> None:
    with pytest.raises(UnfitError, match="not in one file"):
        sealing.seal()
