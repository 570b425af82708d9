"""`executor push`: flags to a request, errors to exit codes. Nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from executor.cli import logging
from executor.errors import UsageError
from executor.options.buildspec import output_spec, registry_options
from executor.options.flags import FLAGS, PUSH_FLAGS
from executor.push.work import PushRequest, push_from_disk

if TYPE_CHECKING:
    import click


def main(words: Sequence[str]) -> None:
    """Run the command with the words after the first, which is its name, and exit with its status."""
    from executor.options.commandline import run_command

    run_command(command(), words[1:], name="executor push")


def command() -> click.Command:
    """The click command."""
    from executor.options.commandline import command_of

    return command_of(
        "push",
        PUSH_FLAGS,
        _run,
        purpose="Push an image that an earlier build has left on disk, as it is, to every --destination.",
        ending="docs/pushing.md has examples. Of several images in one place name one: PATH:TAG or PATH@DIGEST.",
    )


def push_request(values: Mapping[str, Any]) -> PushRequest:
    """What the flags ask for. Raises UsageError."""
    layout, archive = values["oci_layout_path"], values["tar_path"]
    if bool(layout) == bool(archive):
        both = "both --oci-layout-path and --tar-path" if layout else "neither --oci-layout-path nor --tar-path"
        raise UsageError(both, hint="name the one that the image is in")
    if not values["destination"]:
        raise UsageError("no --destination", hint="name where to push")
    values = {flag.field: flag.default for flag in FLAGS} | dict(values)
    output = output_spec({**values, "oci_layout_path": "", "tar_path": ""})
    return PushRequest(layout=layout, archive=archive, output=output, registry=registry_options(values))


def _run(**values: Any) -> None:
    with logging(values) as sink:
        push_from_disk(push_request(values), sink)
