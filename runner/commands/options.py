"""What the commands share: the argument FILE, the options of a selection, --debug; the file read and planned."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click

from executor.dataclass import dataclass
from executor.epoch import parse_epoch
from executor.errors import UsageError
from runner.commands.completing import complete_images
from runner.commands.names import COMMANDS
from runner.invocation import Invocation
from runner.model import FILE_FORMATS, FileFormat, Overrides
from runner.planning.plan import RunPlan, plan
from runner.planning.selection import Selection, Shard, read_seconds, select


def _set_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.ensure_object(Invocation).debug = value


def with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that shows tracebacks."""
    return click.option(
        "--debug",
        is_flag=True,
        envvar="KRUNNER_DEBUG",
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.",
    )(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a run, those that count more later, what of them is replaced, and their format ('' to see)."""

    paths: tuple[str, ...]
    settings: tuple[str, ...] = ()
    format: FileFormat | None = None

    @property
    def name(self) -> str:
        """What the run is called in reports: its last file."""
        return "<stdin>" if self.paths[-1] == "-" else self.paths[-1]


def with_format(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says how faults are printed, given to `command` as `form`, a FaultFormat."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json", "github", "gitlab"]),
        default="text",
        show_default=True,
        help="github: annotations, gitlab: a Code Quality report. All but text go to standard output.",
    )(command)


def with_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument FILE and the options that change what is in it, given to `command` as the one value `files`."""
    return _with_files(command, required=True)


def with_optional_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same where there need be no file; `files` has no paths then."""
    return _with_files(command, required=False)


def _with_files(command: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    @functools.wraps(command)
    def with_files(
        *args: Any,
        file: tuple[str, ...],
        more_files: tuple[str, ...],
        settings: tuple[str, ...],
        input_format: FileFormat | None,
        **options: Any,
    ) -> Any:
        if len(file) > 1:
            more = " ".join(f"-f {path}" for path in file[1:])
            raise UsageError(
                f"one file is expected, not {len(file)}",
                hint=f"to lay them over each other, write `krunner {file[0]} {more}`; else run krunner for each",
            )
        paths = (*file, *more_files)
        if not paths and os.path.isfile(options.get("changed") or ""):
            paths, options["changed"] = (options["changed"],), ""  # in `--changed FILE` it is not the REF
        if not paths and required:
            raise UsageError("no file is named", hint="write for example `krunner builds.yaml`")
        return command(*args, files=Files(paths=paths, settings=settings, format=input_format), **options)

    for option in (
        click.option("--input-format", type=click.Choice(FILE_FORMATS), help="Default: by name and content."),
        click.option(
            "--set",
            "settings",
            metavar="NAME.KEY=VALUE",
            multiple=True,
            help="Override a value of the file; NAME may be a pattern.",
        ),
        click.option(
            "-f", "--file", "more_files", metavar="FILE", type=click.Path(), multiple=True,
            help="Another file, merged over those before it.",
        ),
        click.argument("file", metavar="FILE", type=click.Path(), nargs=-1),
    ):  # fmt: skip
        with_files = option(with_files)
    return with_files


def with_selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a Selection, given to `command` as the one value `selection`."""

    @functools.wraps(command)
    def with_selection(
        *args: Any,
        only: tuple[str, ...],
        skip: tuple[str, ...],
        shard: str,
        changed: str | None,
        timings: str,
        **options: Any,
    ) -> Any:
        selection = Selection(
            only=only,
            skip=skip,
            shard=Shard.parse(shard) if shard else None,
            since=changed,
            seconds=read_seconds(timings) if timings else {},
        )
        return command(*args, selection=selection, **options)

    for option in (
        click.option(
            "--timings",
            metavar="FILE",
            default="",
            help="With --shard: balance by the result.json of an earlier run.",
        ),
        click.option(
            "--shard",
            metavar="I/N",
            default="",
            help="Build part I of N; images that depend on each other stay together.",
        ),
        click.option(
            "--changed",
            metavar="[REF]",
            is_flag=False,
            flag_value="",
            help="Only what has changed in git since REF, and what depends on it. Default: origin/HEAD.",
        ),
        click.option(
            "--skip",
            metavar="GLOB",
            multiple=True,
            shell_complete=complete_images,
            help="Not these images or groups; images that depend on them pull them.",
        ),
        click.option(
            "--only",
            metavar="GLOB",
            multiple=True,
            shell_complete=complete_images,
            help="Only these images or groups, and what they depend on.",
        ),
    ):
        with_selection = option(with_selection)
    return with_selection


def selected(run_plan: RunPlan, selection: Selection, files: Files, invocation: Invocation) -> RunPlan:
    """The part of the plan that is asked for. Raises UsageError."""
    if selection.since is None:
        return select(run_plan, selection)
    from runner.planning.changes import changed_files, changed_images

    folder = os.path.dirname(os.path.abspath(files.paths[-1]))
    found = changed_files(folder, selection.since, os.environ)
    return select(run_plan, selection, changed_images(run_plan, found, invocation.executor.reads_any))


def planned_run(files: Files, invocation: Invocation, overrides: Overrides) -> RunPlan:
    """The images of `files` in order. Raises UsageError, and InvalidFileError with all faults."""
    from runner.buildsfile import config

    check_existence(files)
    run_config = config.load(files.paths, os.environ, overrides, file_format=files.format)
    return plan(run_config, invocation.executor.base_images)


def check_word(words: Sequence[str]) -> None:
    """Raise UsageError for a first word that was to be a command, while more words follow it."""
    if len(words) > 1 and not words[0].startswith("-") and not os.path.exists(words[0]):
        hint = _meant(words[0])
        if "command" in hint:
            raise UsageError(f"there is neither a command nor a file {words[0]!r}", hint=hint)


def check_existence(files: Files) -> None:
    """Raise UsageError for a file that is not there: it may be a command that was misspelled."""
    missing = next((path for path in files.paths if path != "-" and not os.path.exists(path)), None)
    if missing is not None:
        raise UsageError(f"there is no file {missing!r}", hint=_meant(missing))


def _meant(missing: str) -> str:
    """A hint with the command or the file beside it that `missing` is like, '' where there is none."""
    if missing == "help":
        return "did you mean `krunner --help`?"
    folder, name = os.path.split(missing)
    names = [] if folder else [*COMMANDS]
    with suppress(OSError):
        names += sorted(os.listdir(folder or "."))
    alike = difflib.get_close_matches(name, names, n=1)
    if not alike:
        return ""
    is_command = not folder and alike[0] in COMMANDS
    return (
        f"did you mean the command `{alike[0]}`?"
        if is_command
        else f"did you mean {os.path.join(folder, alike[0])}?"
    )


def overrides_of(files: Files, **given: Any) -> Overrides:
    """What the command line and the environment decide for all images. Raises UsageError."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return Overrides(settings=files.settings, source_date_epoch=parse_epoch(epoch) if epoch else None, **given)
