"""Makes this process independent of what lies in `/`, before an image takes its place there.

All of the program is in memory: a command may remove /kaniko with everything else, and the way back must not
depend on a module on a disk. glibc is told its name services, so that it loads no modules that an image names.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import pkgutil
from contextlib import suppress
from threading import Thread
from types import ModuleType

import executor

# What libraries import only when they first need it.
_LATE = (
    *(
        "certifi",
        "charset_normalizer",
        "idna",
        "isal.igzip",
        "isal.isal_zlib",
        "requests",
        "tenacity",
        "zstandard",
    ),
    *(
        "bz2",
        "concurrent.futures.thread",
        "difflib",
        "encodings.idna",
        "encodings.punycode",
        "linecache",
        "lzma",
        "netrc",
    ),
    *("platform", "subprocess", "traceback"),
)

# Databases of nsswitch.conf(5) that lookups here may touch, with services that are part of libc itself.
_SERVICES = ((b"hosts", b"files dns"), (b"passwd", b"files"), (b"group", b"files"), (b"services", b"files"))


@functools.cache
def import_all() -> None:
    """Import what is not yet. Once done it stays done, also in forks."""
    for name in (*_modules(executor), *_LATE):
        importlib.import_module(name)


@functools.cache
def begin_sealing() -> Thread:
    """Import all in the background: it takes a tenth of a second, which the unpacking of a base leaves.

    No fork may run Python until `seal` has returned: it would begin with the locks of half imported modules.
    """

    def work() -> None:
        with suppress(Exception):  # raised again where it is waited for
            import_all()

    thread = Thread(target=work, name="seal", daemon=True)
    thread.start()
    return thread


@functools.cache
def seal() -> None:
    """Have all imported, pin the name services. Once done it stays done, also in forks."""
    begin_sealing().join()
    import_all()
    configure = getattr(ctypes.CDLL(None), "__nss_configure_lookup", None)
    if configure:
        for database, services in _SERVICES:
            configure(database, services)


def _modules(package: ModuleType) -> list[str]:
    return [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
