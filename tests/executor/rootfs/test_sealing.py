"""After sealing nothing of the program is on a disk only."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
from executor.rootfs.sealing import seal
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


def test_nothing_is_imported_after_sealing() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
