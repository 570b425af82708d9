"""The files that name a digest; they exist only when everything that is named in them does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from executor.errors import UnfitError
from executor.image.digest import Digest
from executor.image.reference import Reference
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
            writing(path, _text_writer(text))


def writing(path: str, write: Callable[[str], None]) -> None:
    """Call `write` with parents made; what the system refuses becomes an UnfitError that names the file."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise UnfitError(f"cannot write {path}: {error.strerror}") from error


def _text_writer(text: str) -> Callable[[str], None]:
    def write(path: str) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".digest-")
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)

    return write
