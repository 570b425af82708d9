"""After sealing nothing of the program is on a disk only."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import sys
from executor.rootfs.inplace.sealing import begin_sealing, seal
if sys.argv[1:]:
    begin_sealing()
    import executor.build.engine
seal()
late = []
sys.addaudithook(lambda event, args: late.append(args[0]) if event == "import" else None)
import executor.build.engine, executor.registry.push, executor.context.git
import requests, zstandard, tenacity, netrc
from isal import igzip, isal_zlib
"registry.example".encode("idna")
requests.Request("GET", "https://b\\u00fccher.example/").prepare()
import platform
seal()
print(late)
"""


@pytest.mark.parametrize("beside", [(), ("begun in the background",)])
def test_nothing_is_imported_after_sealing(beside: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *beside], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


_BROKEN = """
import executor.rootfs.inplace.sealing as sealing
sealing._LATE = ("nothing_of_this_name",)
sealing.begin_sealing()
try:
    sealing.seal()
except ModuleNotFoundError as error:
    print(error.name)
"""


def test_a_failed_import_is_told_where_it_is_waited_for() -> None:
    done = subprocess.run([sys.executable, "-c", _BROKEN], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("nothing_of_this_name\n", "")
