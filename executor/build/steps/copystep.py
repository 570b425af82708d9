"""COPY and ADD as steps of a stage: where their files come from and go to, and their text in the history."""

from __future__ import annotations

import os

from executor.build.copying.copy import CopyRequest, copy_from_context, copy_from_root
from executor.build.stages.stage import Stage
from executor.build.steps.add import AddRequest, add
from executor.dockerfile.instructions import Add, Copy
from executor.errors import StepError, without_passwords
from executor.rootfs.files.users import is_named, resolve_owner


def copy_files(instruction: Copy, stage: Stage) -> None:
    """Carry out a COPY whose variables are expanded."""
    request = _request(instruction, stage, parents=instruction.parents)
    root = stage.root.path
    tree = stage.build.tree_of(instruction, stage.plan)
    if tree is None:
        source = stage.build.copied_tree(instruction, stage)
        copy_from_root(request, source, root, lambda: stage.build.scratch("copy"))
    else:
        copy_from_context(request, tree, root, lambda: stage.build.scratch("copy"))


def add_files(instruction: Add, stage: Stage) -> None:
    """Carry out an ADD whose variables are expanded."""
    request = AddRequest(
        copy=_request(instruction, stage),
        checksum=instruction.checksum,
        keep_git_dir=instruction.keep_git_dir,
        unpack=instruction.unpack,
    )
    build = stage.build
    add(request, build.context, stage.root.path, lambda: build.scratch("add"), build.sink)


def _request(instruction: Copy | Add, stage: Stage, *, parents: bool = False) -> CopyRequest:
    return CopyRequest(
        sources=instruction.sources,
        destination=instruction.destination,
        cwd=stage.state.cwd,
        owner=_owner(instruction, stage.root.path) if instruction.chown else None,
        mode=instruction.chmod,
        excludes=instruction.excludes,
        parents=parents,
        link=instruction.link,
        documents=instruction.documents,
        location=instruction.location,
    )


def _owner(instruction: Copy | Add, root: str) -> tuple[int, int]:
    """What --chown means in `root`. As with BuildKit an empty one knows no name, and --link copies into that."""
    linked = instruction.link and not instruction.chmod
    if is_named(instruction.chown) and (linked or not os.listdir(root)):
        where = "with --link" if linked else "in an empty image"
        raise StepError(
            f"--chown={instruction.chown}: there is no /etc/passwd {where} to find the name in",
            hint="write the ids as numbers, such as --chown=1000:1000",
            location=instruction.location,
        )
    return resolve_owner(root, instruction.chown)


def copying_text(instruction: Copy | Add) -> str:
    """A COPY or ADD as BuildKit writes it in the history: only the flags that it writes, and heredocs by name.

    Unlike there, passwords in URLs are left out.
    """
    words = [
        "COPY" if isinstance(instruction, Copy) else "ADD",
        *(["--parents"] if isinstance(instruction, Copy) and instruction.parents else []),
        *([f"--chown={instruction.chown}"] if instruction.chown else []),
        *([f"--chmod={instruction.chmod}"] if instruction.chmod else []),
        *instruction.sources,
        *(f"<<{document.name}" for document in instruction.documents),
        instruction.destination,
    ]
    return without_passwords(" ".join(words))
