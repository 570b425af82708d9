"""What packaging/bundle makes of what it finds; integration/debugimage looks at the image that comes of it."""

import subprocess
from pathlib import Path

import pytest

BUNDLE = Path(__file__).parent.parent / "packaging" / "bundle"
FOUND = "\tlinux-vdso.so.1 (0x7)\n\tlibz.so.1 => /lib/libz.so.1 (0x7)\n\tlibc.so.6 => /lib/libc.so.6 (0x7)\n"


def libraries_of(said: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What the function of that name gives, and the lines after it, when ldd says so."""
    function = BUNDLE.read_text().partition("libraries_of() {")[2].partition("\n}\n")[0]
    (tmp_path / "said").write_text(said)
    script = f"set -euo pipefail\nldd() {{ cat {tmp_path}/said; }}\nlibraries_of() {{{function}\n}}\n"
    script += "libraries_of a b | while read -r library; do echo got $library; done\necho end"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)


def test_every_library_is_named_once(tmp_path: Path) -> None:
    done = libraries_of(f"a:\n{FOUND}b:\n{FOUND}", tmp_path)
    assert (done.returncode, done.stdout) == (0, "got /lib/libc.so.6\ngot /lib/libz.so.1\nend\n")


@pytest.mark.parametrize(
    "line", ["\tlibgone.so.3 => not found", "a: /lib/libc.so.6: version `GLIBC_9' not found (required by a)"]
)
def test_a_missing_library_ends_it_with_its_name(tmp_path: Path, line: str) -> None:
    done = libraries_of(f"a:\n{FOUND}{line}\n", tmp_path)
    assert done.returncode != 0
    assert f"a library is missing: {line}" in done.stderr
    assert "end" not in done.stdout
