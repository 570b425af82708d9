"""`krunner prune`: make room in the image store."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import click

from executor.errors import UsageError
from executor.sizes import parse_size
from executor.spec import CacheOptions, PruneResult, PruneSpec
from runner.commands.options import Files, check_existence, overrides_of, with_debug, with_optional_file
from runner.invocation import Invocation

_FOLDERS = ("oci:", "dir:")
_TIME = re.compile(r"[0-9]{1,6}[smhd]\Z")


@click.command("prune", short_help="Remove layers and cache mounts from the store.")
@with_optional_file
@click.option("--all", "everything", is_flag=True, help="Remove everything that no running process uses.")
@click.option("--keep-storage", metavar="SIZE", help="Remove the least recently used until SIZE is left.")
@click.option(
    "--older-than", metavar="TIME", help="Remove what has not been used for TIME, for example 36h or 7d."
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")
@click.option(
    "--cache",
    "caches",
    metavar="PLACE",
    multiple=True,
    help="Prune this layer cache instead of the store: dir:PATH or oci:PATH. May be repeated.",
)
@click.option("--home", type=click.Path(), envvar="KRUNNER_HOME", default="", help="Folder of the image store.")
@click.option("--json", "for_programs", is_flag=True, help="Print the result as JSON: krunner schema prune.")
@with_debug
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    files: Files,
    home: str,
    caches: tuple[str, ...],
    for_programs: bool,
    **limits: Any,
) -> None:
    """Remove layers, unpacked layers and cache mounts from the store, the least recently used first.

    Without options, the store is reduced to what fits its disk; a layer cache loses what has not been used for
    two weeks. What a running process uses is kept, and so are images that still have to be pushed and cache
    entries that were used within the last hour.

    With FILE, prune the layer caches in folders that its images write to, by default as their builds would.
    """
    from runner.report.style import size

    keep_storage, older_than = limits.pop("keep_storage"), limits.pop("older_than")
    wanted = PruneSpec(
        keep=None if keep_storage is None else parse_size(keep_storage),
        older_than=None if older_than is None else _seconds(older_than),
        caches=(*((place, CacheOptions()) for place in caches), *_caches_of(files)),
        **limits,
    )
    if files.paths and not wanted.caches:
        done = PruneResult(removed={}, freed=0, left=0)
    else:
        done = invocation.executor.prune(os.path.abspath(home) if home else "", wanted)
    if for_programs:
        found = {"removed": dict(done.removed), "freed": done.freed, "left": done.left}
        print(json.dumps({"version": 1, "dry_run": wanted.dry_run, **found}, indent=2))
        return
    for kind, count in done.removed.items():
        print(f"{count:6} {kind}{'' if count == 1 else 's'}")
    print(f"{'would free' if wanted.dry_run else 'freed'} {size(done.freed)}, {size(done.left)} left")


def _caches_of(files: Files) -> list[tuple[str, CacheOptions]]:
    """The layer caches in folders that there are already, each with the options of every image that writes to it.

    Raises UsageError where the list has none, and InvalidFileError.
    """
    if not files.paths:
        if files.settings or files.format:
            raise UsageError("--set and --input-format are about a FILE, and none is named")
        return []
    from runner.buildsfile import config

    check_existence(files)
    images = config.load(files.paths, os.environ, overrides_of(files), file_format=files.format).images
    caches = [image.build.cache for image in images if image.build.cache.enabled and image.build.cache.push]
    places = [(place, cache) for cache in caches for place in cache.repositories if place.startswith(_FOLDERS)]
    if not places:
        raise UsageError(
            f"no image of {files.name} writes to a layer cache in a folder",
            hint="a registry removes by its own rules; without FILE it is the store that is looked at",
        )
    found = {(place, cache.ttl, cache.size): (place, cache) for place, cache in places}
    return [(place, cache) for place, cache in found.values() if os.path.isdir(place.partition(":")[2])]


def _seconds(text: str) -> float:
    from runner.buildsfile.retrying import seconds

    if not _TIME.match(text):
        raise UsageError(f"--older-than {text!r} is not a time", hint="write a number and s, m, h or d: 36h")
    return seconds(text)
