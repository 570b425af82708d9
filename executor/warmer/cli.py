"""The `warmer` command: kaniko's flags to a WarmRequest, errors to exit codes. Nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from executor.cli import logging
from executor.errors import UsageError
from executor.leaving import leave_after
from executor.options.buildspec import build_args, cache_ttl, registry_options
from executor.options.flags import FLAGS, WARMER_FLAGS, normalize
from executor.standardstreams import make_usable
from executor.warmer.request import WarmRequest

if TYPE_CHECKING:
    import click


def entry() -> NoReturn:
    """What the command `warmer` calls."""
    make_usable()
    leave_after(main)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    from executor.options.commandline import run_command

    run_command(command(), normalize(sys.argv[1:] if argv is None else argv, WARMER_FLAGS))


def command() -> click.Command:
    """The click command made from the table of flags."""
    from executor.options.commandline import command_of

    return command_of(
        "warmer",
        WARMER_FLAGS,
        _run,
        purpose="Keep base images ready in a folder, where `executor --cache-dir` and krunner find them.",
    )


def request_from_flags(values: Mapping[str, Any], environ: Mapping[str, str]) -> WarmRequest:
    """What the flags ask for. Raises UsageError."""
    if not values["image"] and not values["dockerfile"]:
        raise UsageError("nothing to warm", hint="name images with --image, or Dockerfiles with --dockerfile")
    return WarmRequest(
        folder=os.path.abspath(values["cache_dir"]),
        images=values["image"],
        dockerfiles=values["dockerfile"],
        build_args=build_args(values["build_arg"], environ),
        platforms=tuple(part for text in values["custom_platform"] for part in text.split(",") if part),
        ttl=cache_ttl(values),
        force=values["force"],
        keep_going=values["keep_going"],
        registry=registry_options({flag.field: flag.default for flag in FLAGS} | dict(values)),
    )


def _run(**values: Any) -> None:
    with logging(values) as sink:
        request = request_from_flags(values, os.environ)
        from executor.warmer.warm import warm

        warm(request, sink)
