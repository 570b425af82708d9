"""The files that name a digest; they exist only when everything that is named in them does."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from executor.errors import UnfitError, UsageError
from executor.image.digest import Digest
from executor.image.reference import Reference
from executor.replacing import write_whole
from executor.spec import OutputSpec


def write_digest_files(wanted: OutputSpec, digest: Digest) -> None:
    """Write the files that `wanted` asks for, as kaniko does: names end with a newline, a digest alone does not.

    Raises UnfitError when one cannot be written.
    """
    names = [Reference.parse(text) for text in wanted.destinations]
    repositories = "".join(f"{name.name}@{digest}\n" for name in names)
    tags = "".join(f"{name}@{digest}\n" for name in names)
    for path, text in (
        (wanted.digest_file, digest),
        (wanted.image_name_with_digest_file, repositories),
        (wanted.image_name_tag_with_digest_file, tags),
    ):
        if path:
            writing(path, partial(write_whole, content=text.encode()))


def check_places(wanted: OutputSpec) -> None:
    """Raise UsageError for a place of `wanted` that is of another kind than what is to be written there.

    It is for before the build: what can be seen then need not fail after it.
    """
    files = (
        ("the archive", wanted.tar_path),
        ("the digest", wanted.digest_file),
        ("the image's name", wanted.image_name_with_digest_file),
        ("the image's name", wanted.image_name_tag_with_digest_file),
    )
    for what, path in files:
        if path and os.path.isdir(path):
            raise UsageError(f"{path} is a folder, and no file for {what}", hint="name a file, as one in it")
    layout = wanted.oci_layout_path
    if layout and os.path.exists(layout) and not os.path.isdir(layout):
        raise UsageError(f"{layout} is a file, and no folder for the OCI layout", hint="name another place")


def writing(path: str, write: Callable[[str], None]) -> None:
    """Call `write` with parents made; what the system refuses becomes an UnfitError that names the file."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise UnfitError(
            f"cannot write {path}: {error.strerror}", hint="name another place, or make this one writable"
        ) from error
