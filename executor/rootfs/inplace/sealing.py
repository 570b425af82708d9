"""Makes this process independent of what lies in `/`, before an image takes its place there.

All of the program is in memory: a command may remove /kaniko with everything else, or change it, and the way back
must not depend on a module on a disk. From then on none is looked for there. glibc is told its name services, so
that it loads no modules that an image names.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from threading import Thread

from executor.errors import UnfitError
from executor.modulefile import installed

_COMPRESSION = ("isal.igzip", "isal.isal_zlib", "zstandard")
"""What has extension modules of its own, and may be needed later."""

# Databases of nsswitch.conf(5) that lookups here may touch, with services that are part of libc itself.
_SERVICES = ((b"hosts", b"files dns"), (b"passwd", b"files"), (b"group", b"files"), (b"services", b"files"))


@functools.cache
def hold_modules() -> None:
    """Have in memory what may yet be imported, and import nothing else. Once done it stays done, also in forks.

    Raises UnfitError where modules lie in folders, which only happens outside of our images.
    """
    modules = installed()
    if modules is None:
        raise UnfitError("no command can run in place: the modules of this program are not in one file")
    modules.hold()
    for name in (*_COMPRESSION, *_extension_modules()):
        importlib.import_module(name)
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder]


@functools.cache
def begin_sealing() -> Thread:
    """Hold modules in the background, while a base is fetched.

    No fork may run Python until `seal` has returned: it would begin with the locks of half imported modules.
    """

    def work() -> None:
        with suppress(Exception):  # raised again where it is waited for
            hold_modules()

    thread = Thread(target=work, name="seal", daemon=True)
    thread.start()
    return thread


@functools.cache
def seal() -> None:
    """Have modules in memory, pin the name services. Once done it stays done, also in forks. Raises UnfitError."""
    begin_sealing().join()
    hold_modules()
    configure = getattr(ctypes.CDLL(None), "__nss_configure_lookup", None)
    if configure:
        for database, services in _SERVICES:
            configure(database, services)


def descriptors() -> frozenset[int]:
    """What modules are imported from, for a process that closes everything else."""
    modules = installed()
    return frozenset({modules.descriptor} if modules else ())


def _extension_modules() -> Iterator[str]:
    """The extension modules of the standard library that are files: few, since most are in the interpreter."""
    for folder in sys.path:
        if os.path.basename(folder) == "lib-dynload":
            for name in sorted(os.listdir(folder)):
                if name.endswith(EXTENSION_SUFFIXES[0]):
                    yield name.removesuffix(EXTENSION_SUFFIXES[0])
