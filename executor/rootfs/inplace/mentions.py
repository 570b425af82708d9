"""What a command says of directories that only this container has: in place it would find ours, not make its own.

A mount at /home/jenkins/agent keeps /home/jenkins in `/`, and there `useradd -m jenkins` makes no home.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from executor.rootfs.base import RunRequest
from executor.rootfs.files.safepath import resolve


def mentioned(tree: str, stays: Iterable[str], request: RunRequest) -> str:
    """The first directory that `tree` lacks, one of `stays` lies at or below, and the command names; '' for none.

    It names one by its path, or a home by the name of its user. One that it has a mount in is its own.
    """
    mounted = [f"{mount.target}/" for mount in request.mounts]
    lacking = (path for path in _lacking(tree, stays) if not any(each.startswith(f"{path}/") for each in mounted))
    return next((path for path in lacking if _names(request, path)), "")


def walks_everything(request: RunRequest) -> bool:
    """Whether the command goes through all that is below `/`, as `find / -xdev -name '*.pyc' -delete` does."""
    return bool(re.search(r"(?<![\w./-])find\s+(?:-[HLP]\s+)*/(?=[\s;&|)]|$)", _script(request)))


def _script(request: RunRequest) -> str:
    return "\n".join([*request.argv, *(script.decode("utf-8", "replace") for script in request.scripts.values())])


def _lacking(tree: str, stays: Iterable[str]) -> Iterator[str]:
    """The topmost directories of the paths that the tree does not have."""
    for path in stays:
        names = path.strip("/").split("/")
        prefixes = ("/" + "/".join(names[:count]) for count in range(1, len(names) + 1))
        yield from islice((prefix for prefix in prefixes if not os.path.lexists(resolve(tree, prefix))), 1)


def _names(request: RunRequest, path: str) -> bool:
    said = _script(request)
    home = request.environment.get("HOME", "")
    if re.search(rf"(?<![\w.@%+~}})*/-]){re.escape(path)}(?![\w.@%+-])", f"{said}\n{home}"):
        return True
    folder, name = os.path.split(path)
    if folder != "/home":
        return False
    word = re.search(rf"(?<![\w./@-]){re.escape(name)}(?![\w./@-])", said)
    return bool(word) or name in request.environment.values()
