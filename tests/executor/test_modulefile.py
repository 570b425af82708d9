"""Modules in one file: they are what they were in folders, and what is held needs no disk."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from executor.modulefile import ModuleFile, pack

_FILES = {
    "alone_m.py": "value = 1\n",
    "encodings/utf_8.py": "value = 2\n",
    "dist-packages/whole_m/__init__.py": "from whole_m import part\nvalue = part.value + 1\n",
    "dist-packages/whole_m/part.py": "value = 3\n",
    "dist-packages/whole_m/data.txt": "data of a package\n",
    "dist-packages/names_m/deep/leaf.py": "value = 5\n",
    "dist-packages/broken_m.py": "import nothing_of_this_name\n",
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A standard library and its packages, all compiled in place, and packed."""
    for name, text in _FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    compileall.compile_dir(tmp_path, quiet=1, legacy=True)
    for source in tmp_path.rglob("*.py"):
        source.unlink()
    pack(str(tmp_path))
    return tmp_path


@pytest.fixture
def modules(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleFile]:
    """The file as the first finder of this process."""
    file = ModuleFile(str(library / "modules"))
    monkeypatch.setattr(sys, "meta_path", [file, *sys.meta_path])
    before = set(sys.modules)
    yield file
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_packed_are_all_compiled_modules_but_those_the_interpreter_starts_with(library: Path) -> None:
    left = {str(path.relative_to(library)) for path in library.rglob("*") if path.is_file()}
    assert left == {"modules", "encodings/utf_8.pyc", "dist-packages/whole_m/data.txt"}


@pytest.mark.usefixtures("modules")
def test_modules_packages_and_packages_without_a_module() -> None:
    import alone_m  # type: ignore[import-not-found]
    import names_m.deep.leaf  # type: ignore[import-not-found]
    import whole_m  # type: ignore[import-not-found]

    assert (alone_m.value, whole_m.value, names_m.deep.leaf.value) == (1, 4, 5)
    assert names_m.deep.__path__
    assert not hasattr(alone_m, "__path__")


def test_files_have_the_paths_that_they_had_and_data_are_found(library: Path, modules: ModuleFile) -> None:
    import whole_m

    assert whole_m.__file__ == f"{library}/dist-packages/whole_m/__init__.pyc"
    assert resources.files("whole_m").joinpath("data.txt").read_text() == "data of a package\n"
    assert modules.find_spec("nothing_of_this_name") is None


@pytest.mark.usefixtures("modules")
def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        import broken_m  # type: ignore[import-not-found]  # noqa: F401


def test_what_is_held_is_imported_whatever_becomes_of_the_disk(library: Path, modules: ModuleFile) -> None:
    modules.hold()
    size = (library / "modules").stat().st_size
    (library / "modules").write_bytes(bytes(size))
    import whole_m

    assert whole_m.value == 4


def test_nobody_can_write_to_what_is_held(modules: ModuleFile) -> None:
    modules.hold()
    with pytest.raises(PermissionError):
        os.pwrite(modules.descriptor, b"evil", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(modules.descriptor, 0)
    assert not os.get_inheritable(modules.descriptor)


def test_what_is_not_held_is_read_when_it_is_imported(library: Path) -> None:
    (library / "modules").write_bytes(bytes(100))
    with pytest.raises((ValueError, EOFError, TypeError)):
        ModuleFile(str(library / "modules"))


_SCRIPT = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
import executor.modulefile
print(*sorted(set(sys.modules)))
"""


def test_it_needs_nothing_that_it_would_have_to_import_itself() -> None:
    """Else the interpreter could not start before the file is there."""
    root = Path(__file__).parents[2]
    words = [sys.executable, "-S", "-c", f"import sys; sys.path.append({str(root)!r}){_SCRIPT}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = {name for name in done.stdout.split() if (spec := PathFinder.find_spec(name)) and spec.has_location}
    allowed = {"__future__", "encodings", "importlib", "warnings", "executor"}
    # frozen into the interpreter
    frozen = {
        "abc",
        "codecs",
        "genericpath",
        "io",
        "os",
        "posixpath",
        "site",
        "stat",
        "zipimport",
        "ntpath",
        "_collections_abc",
    }
    assert found - frozen <= allowed
