"""The rules of the house that no linter knows; see docs/decisions and CONTRIBUTING.md."""

import ast
import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("executor/**/*.py"), *ROOT.glob("runner/**/*.py")])
FUNCTION_CAP = 60
MODULE_CAP = 500
ON_DISK = {"layout", "archive", "archiveread", "replacing", "verified", "tar", "tarread", "platform"}
"""Modules of image/ that read or write files, as their purpose is, or ask what machine this is."""


def relative(path):
    return str(path.relative_to(ROOT))


@functools.cache
def imports_of(path):
    return tuple(_imports_in(path))


def _imports_in(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def calls_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def importers(*modules):
    return {
        relative(path)
        for path in SOURCES
        if any(name == module or name.startswith(f"{module}.") for name in imports_of(path) for module in modules)
    }


def test_only_rootfs_makes_system_calls():
    assert {path for path in importers("ctypes") if not path.startswith("executor/rootfs/")} == set()


def test_only_registry_and_context_touch_the_network():
    allowed = ("executor/registry/", "executor/context/")
    found = importers("requests", "urllib3", "http.client", "socket", "urllib.request")
    # these talk to this machine only: the runner to its own processes, the others to an agent and to the kernel
    local = (
        "runner/",
        "executor/build/supplies/sshagent.py",
        "executor/rootfs/kernel/syscalls.py",
        "executor/hangup.py",
    )
    assert {path for path in found if not path.startswith((*allowed, *local))} == set()
    assert {path for path in importers("requests", "urllib3") if path.startswith("runner/")} == set()


def test_dataclasses_are_made_cheaply():
    """A class made by the standard library costs the start of each process as much as twenty of ours."""
    assert importers("dataclasses") <= {"executor/dataclass.py"}


@pytest.mark.parametrize(
    "pattern",
    [
        "executor/dockerfile/*.py", "executor/image/*.py", "executor/build/state/[ms]*.py",
        *(f"executor/build/plan/{name}.py" for name in ("buildplan", "planner", "namedcontexts")),
    ],
)  # fmt: skip
def test_pure_modules_touch_neither_disk_nor_processes(pattern):
    impure = {"os", "pathlib", "subprocess", "shutil", "tempfile", "socket", "requests", "glob", "fcntl"}
    for path in ROOT.glob(pattern):
        found = {name.partition(".")[0] for name in imports_of(path)} & impure
        if path.stem in ON_DISK:
            continue
        assert not found, f"{relative(path)} imports {found}"
        assert "open" not in calls_of(path), f"{relative(path)} opens files"


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_modules_and_functions_stay_small():
    long_modules = {
        relative(path): count for path in SOURCES if (count := path.read_text().count("\n")) > MODULE_CAP
    }
    long_functions = {
        f"{relative(path)}:{name}": size
        for path in SOURCES
        for name, size in functions(path)
        if size > FUNCTION_CAP and name != "execute"  # steps.execute: one arm per instruction
    }
    assert not long_modules
    assert not long_functions


@pytest.mark.parametrize("module", ["executor.cli", "runner.cli"])
def test_commands_import_nothing_slow(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ}
    ).stdout.split()
    assert {"requests", "jsonschema", "yaml", "tenacity", "zstandard", "executor.build.build"} & set(
        loaded
    ) == set()


def test_flags_page_is_current():
    from executor.options.flags import markdown

    assert (ROOT / "docs" / "flags.md").read_text() == markdown(), (
        "run: python -m executor.options.flags > docs/flags.md"
    )
