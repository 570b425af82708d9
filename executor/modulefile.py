"""Modules from one file, as our images have them: quicker to import, and small enough to be held in memory.

A folder of compiled modules takes the interpreter ten system calls for each that it imports, this file one. Who
holds it imports from a copy in memory, whatever becomes of the disk: see rootfs/inplace/sealing.py.

    the code of each module, as `marshal` writes it
    the index, as `marshal` writes it: {name: (start, size, path, whether it is a package)}
    where the index begins: 8 bytes, the most significant first

Paths are where the modules were, relative to the folder of the file: data and extension modules are there still.
Python's own zipimport reads the list of members in Python, piece by piece, and is a fifth slower than a folder.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec, SourcelessFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:  # this module comes before all others, and so it imports what is in the interpreter only
    from collections.abc import Iterator, Mapping, Sequence
    from types import CodeType, ModuleType
    from typing import TypeAlias

    _Place: TypeAlias = tuple[int, int, str, bool]

_NAME = "modules"
_PACKAGES = "dist-packages"
_CODE = ".pyc"
_INIT = f"/__init__{_CODE}"
_HEADER = 16  # bytes before the code in a .pyc: PEP 552
_NUMBER = 8
_PIECE = 1 << 20
_NEEDED_BEFORE = frozenset(
    (
        *(
            "__future__",
            "encodings",
            "encodings.aliases",
            "encodings.ascii",
            "encodings.latin_1",
            "encodings.utf_8",
        ),
        *("importlib", "sitecustomize", "warnings", "executor", "executor.modulefile"),
    )
)
"""What the interpreter imports until modules come from the file. The rest of that is frozen into it."""


class ModuleFile:
    """A finder for `sys.meta_path`: the modules in the file at `path`. Raises OSError and ValueError."""

    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._held = False
        size = os.fstat(self._descriptor).st_size
        start = int.from_bytes(os.pread(self._descriptor, _NUMBER, size - _NUMBER), "big")
        index = os.pread(self._descriptor, size - start, start)
        self._index: Mapping[str, _Place] = marshal.loads(index)  # noqa: S302 - it is as good as the code itself

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in self._index:
            return None
        _, _, relative, is_package = self._index[name]
        path = os.path.join(self._folder, relative)
        spec = ModuleSpec(name, _Loader(name, path, self), origin=path, is_package=is_package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(os.path.dirname(path))
        return spec

    def code(self, name: str) -> CodeType:
        """The code of a module that is in the file."""
        start, size, _, _ = self._index[name]
        content = os.pread(self._descriptor, size, start)
        code: CodeType = marshal.loads(content)  # noqa: S302 - as the interpreter does with a .pyc
        return code

    @property
    def descriptor(self) -> int:
        """What modules are read from, for a process that closes everything else."""
        return self._descriptor

    def hold(self) -> None:
        """Copy all of it into memory, to import from there from then on: nobody can write to that any more.

        It is a file without a name: a fork has no pages of it to copy.
        """
        if self._held:
            return
        from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl

        copy = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            end = 0
            while count := os.sendfile(copy, self._descriptor, end, _PIECE):
                end += count
            fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
            os.dup2(copy, self._descriptor, inheritable=False)  # others may be reading from it
        finally:
            os.close(copy)
        self._held = True


class _Loader(SourcelessFileLoader):
    """As for a compiled module in a folder of its own, which the package's data are read from."""

    def __init__(self, name: str, path: str, file: ModuleFile) -> None:
        super().__init__(name, path)
        self._file = file

    def get_code(self, fullname: str) -> CodeType:
        """See `importlib.abc.InspectLoader`."""
        return self._file.code(fullname)


def install() -> None:
    """Have modules come from the file beside the standard library. Called by `sitecustomize` in our images."""
    sys.meta_path.insert(0, ModuleFile(os.path.join(os.path.dirname(os.__file__), _NAME)))


def installed() -> ModuleFile | None:
    """What `install` made, None where modules lie in folders."""
    return next((finder for finder in sys.meta_path if isinstance(finder, ModuleFile)), None)


def pack(folder: str) -> None:
    """Move the compiled modules of a standard library in `folder` and of its dist-packages into the file."""
    found = dict(_compiled(folder, folder)) | dict(_compiled(folder, os.path.join(folder, _PACKAGES)))
    index: dict[str, _Place] = {}
    with open(os.path.join(folder, _NAME), "wb") as target:
        for name, relative in sorted(found.items()):
            with open(os.path.join(folder, relative), "rb") as file:
                code = file.read()[_HEADER:]
            index[name] = target.tell(), target.write(code), relative, relative.endswith(_INIT)
            if name not in _NEEDED_BEFORE:
                os.unlink(os.path.join(folder, relative))
        start, size = target.tell(), target.write(marshal.dumps(compile("", "namespace", "exec")))
        index |= {name: (start, size, path, True) for name, path in _namespaces(found)}
        end = target.tell()
        target.write(marshal.dumps(index))
        target.write(end.to_bytes(_NUMBER, "big"))


def _compiled(folder: str, top: str) -> Iterator[tuple[str, str]]:
    """The name of each compiled module below `top`, and its path relative to `folder`."""
    for here, folders, names in os.walk(top):
        if here == folder and _PACKAGES in folders:
            folders.remove(_PACKAGES)
        for name in names:
            if name.endswith(_CODE):
                path = os.path.join(here, name)
                module = os.path.relpath(path, top).removesuffix(_CODE).removesuffix("/__init__")
                yield module.replace("/", "."), os.path.relpath(path, folder)


def _namespaces(found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The packages without a module of their own, and where that would be."""
    for name, path in found.items():
        parent, folder = name, path.removesuffix(_INIT)
        while "." in parent:
            parent, folder = parent.rpartition(".")[0], os.path.dirname(folder)
            if parent not in found:
                yield parent, folder + _INIT


if __name__ == "__main__":
    pack(sys.argv[1])
