"""What is remembered of an unpacked layer, so that damage is found: `<key>.seal` beside the directory `<key>`.

    {"boot": …, "digest": "", …}            just made
    {"boot": …, "digest": …, "size": …}     sealed: the digest of its names, types, modes, sizes and times

It is sealed when another process uses it a minute after it was made or later (the images of one list need not wait
for that), and compared an hour after that and each time the machine has started anew. Nothing is synced to disk
(decision 4): what was not sealed when the machine stopped does not count. Contents are not read: whoever writes to
a file, or changes anything else of it, changes its ctime, which nobody can set.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from executor.dataclass import asdict, dataclass
from executor.replacing import write_whole

_EVERY = 3600.0  # seconds; a walk costs 5 µs an entry
_NEW = 60.0
_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """`boot` is the run of the machine in which the directory was last known to be whole; `size` is in bytes."""

    boot: str
    digest: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """What a directory is like: `changed` is the latest ctime in it, in nanoseconds, `size` bytes on disk."""

    digest: str
    size: int
    changed: int


def begin_seal(directory: str) -> None:
    """Note that `directory` is being made now."""
    _write(directory, Seal(boot=_boot()))


def seal(directory: str) -> Seal:
    """Look through `directory` and remember what it is like, unless that was done. Returns what is remembered.

    What is not known to be whole is not sealed; only the size is true then.
    """
    known = read_seal(directory)
    if known and known.digest:
        return known
    survey = _survey(directory)
    if known is None or survey.changed > _written(directory):
        return Seal(boot="", size=survey.size)
    made = Seal(boot=known.boot, digest=survey.digest, size=survey.size)
    _write(directory, made)
    return made


def is_whole(directory: str) -> bool:
    """Whether `directory` is what was made, as far as is known; compares or seals it when that is due."""
    known, boot = read_seal(directory), _boot()
    if known is None or (known.boot != boot and not known.digest):
        return False
    if known.boot == boot and _age(directory) < (_EVERY if known.digest else _NEW):
        return True
    survey = _survey(directory)
    as_made = survey.digest == known.digest if known.digest else survey.changed <= _written(directory)
    if not as_made:
        return False
    _write(directory, Seal(boot=boot, digest=survey.digest, size=survey.size))
    return True


def is_of_this_boot(directory: str) -> bool:
    """Whether the machine has not started anew since `directory` was made or last known to be whole."""
    known = read_seal(directory)
    return known is not None and known.boot == _boot()


def read_seal(directory: str) -> Seal | None:
    """What is remembered of `directory`, None when nothing is."""
    try:
        document: Any = json.loads(Path(_path(directory)).read_bytes())
        return Seal(**document)
    except (OSError, ValueError, TypeError):
        return None


def remove_seal(directory: str) -> None:
    """Forget what is remembered of a directory that is gone."""
    Path(_path(directory)).unlink(missing_ok=True)


def disk_usage(directory: str) -> int:
    """Bytes on disk of everything in `directory`."""
    return _survey(directory).size


def _survey(directory: str) -> _Survey:
    digest, size, changed = hashlib.sha256(), 0, 0
    for name, status in _entries(directory):
        size += status.st_blocks * _BLOCK
        # overlayfs links its whiteouts to one in its working directory, which goes later and changes their ctime
        ctime = 0 if stat.S_ISCHR(status.st_mode) else status.st_ctime_ns
        changed = max(changed, ctime)
        length = status.st_size if stat.S_ISREG(status.st_mode) else 0
        facts = f"{name}\0{status.st_mode:o} {length} {status.st_mtime_ns} {ctime}\n"
        digest.update(facts.encode("utf-8", "surrogateescape"))
    return _Survey(digest=digest.hexdigest(), size=size, changed=changed)


def _entries(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below `directory`, in an order that is the same each time. What cannot be read is left out."""
    pending = [""]
    while pending:
        here = pending.pop()
        prefix = f"{here}/" if here else ""
        with contextlib.suppress(OSError), _opened(os.path.join(directory, here)) as folder:
            for name in sorted(os.listdir(folder)):  # entries of scandir would keep what stat says
                status = os.lstat(name, dir_fd=folder)
                yield prefix + name, status
                if stat.S_ISDIR(status.st_mode):
                    pending.append(prefix + name)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(directory: str, made: Seal) -> None:
    write_whole(_path(directory), json.dumps(asdict(made)).encode())


def _age(directory: str) -> float:
    return time.time() - os.stat(_path(directory)).st_mtime


def _written(directory: str) -> int:
    """When the record was written, by the clock of its file system."""
    return os.stat(_path(directory)).st_ctime_ns


def _path(directory: str) -> str:
    return f"{directory}.seal"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
