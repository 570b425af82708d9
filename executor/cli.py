"""The `executor` command: what to do by its flags, and how to end. `options/` says what the flags mean.

Anything slow to import waits until the flags are known to be good.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from executor.errors import Error, InternalError, machine_faults_explained
from executor.eventlines import EventLines, open_events
from executor.events import BuildFailed, Event, Noted, Sink
from executor.leaving import leave_after
from executor.logsinks import LogFormat, LogSink, wants_color
from executor.options.buildspec import spec_from_flags
from executor.options.flags import FLAGS, normalize
from executor.options.plainflags import plain_values
from executor.sizes import parse_size
from executor.spec import BuildSpec
from executor.standardstreams import make_usable

if TYPE_CHECKING:
    import click

_OTHERS = (["login"], ["logout"], ["push"], ["version"], ["--version"])
"""Commands beside the one without a name. They have modules of their own, which a build does not import."""


def entry() -> NoReturn:
    """What the command `executor` calls."""
    make_usable()
    leave_after(main)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status: a failed RUN's own, else as docs/exit-codes.md says."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in _OTHERS:
        _other(words)
        return
    words = normalize(words)
    values = plain_values(FLAGS, words, os.environ)
    if values is not None:
        _run(**values)
        return
    from executor.options.commandline import run_command

    run_command(command(), words)


def _other(words: Sequence[str]) -> None:
    match words[0]:
        case "push":
            from executor.push.cli import main as push

            push(words)
        case "login" | "logout":
            from executor.login.cli import main as login_or_logout

            login_or_logout(words)
        case _:
            from executor.release import release

            print(release())


def command() -> click.Command:
    """The click command made from the table of flags."""
    from executor.options.commandline import command_of

    return command_of(
        "executor",
        FLAGS,
        _run,
        purpose="Build one container image from a Dockerfile and push it.",
        ending="docs/flags.md has every flag and what it does. `executor login` and `executor logout` keep and "
        "forget passwords of registries, `executor push` pushes an image that is on disk: `executor push --help`. "
        "`executor version` prints the version.",
    )


def _run(**values: Any) -> None:
    with logging(values) as sink:
        spec = spec_from_flags(values, os.environ)
        if values["check"]:
            _check(spec, sink)
        if values["dryrun"]:
            _print_plan(spec, sink)
            return
        size = parse_size(values["store_size"]) if values["store_size"] else None
        gc.disable()  # modules are no garbage, and there are many
        from executor.build.build import build
        from executor.build.storekeeping import trim_store
        from executor.store import default_home

        gc.freeze()
        gc.enable()
        home = spec.rootfs.home or default_home()  # before the build may look like root in a namespace
        build(spec, sink)
        trim_store(home, size, lambda message: sink(Noted(message=message)))


def _check(spec: BuildSpec, sink: Sink) -> NoReturn:
    """Tell what the rules find, and exit: with 0, unless the file itself asks for an error."""
    from executor.build.lookahead.checking import check, warning
    from executor.build.survey.source import read_source

    with read_source(spec, sink) as frontend:
        checked = check(frontend, spec.build_args)
    for found in checked.findings:
        sink(warning(found))
    count = len(checked.findings)
    print(f"check complete: {count or 'no'} {'warning' if count == 1 else 'warnings'}")
    sys.exit(1 if checked.error and count else 0)


def _print_plan(spec: BuildSpec, sink: Sink) -> None:
    from executor.build.survey.inspect import stages
    from executor.build.survey.source import read_source

    with read_source(spec, sink) as frontend:
        print(stages(spec, frontend.dockerfile), end="")


@contextmanager
def logging(values: Mapping[str, Any]) -> Iterator[Sink]:
    """The sink that the flags ask for; what is raised within is told by it and ends the process.

    A build has its own way to be stopped by Ctrl-C: here it is one before or after that.
    """
    log_format: LogFormat = values["log_format"] or ("color" if wants_color(sys.stderr) else "text")
    sink: Sink = LogSink(log_format, values["verbosity"], timestamps=values["log_timestamp"])
    try:
        with machine_faults_explained():
            sink = _with_events(sink, values)
            yield sink
    except Error as error:
        sink(BuildFailed.of(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("KRUNNER_DEBUG"):
            raise
        bug = InternalError(
            f"{type(error).__name__}: {error}",
            hint="this is a bug of ours: please report it with the output of the same command and KRUNNER_DEBUG=1",
        )
        sink(BuildFailed.of(bug))
        sys.exit(bug.exit_code)


def _with_events(sink: Sink, values: Mapping[str, Any]) -> Sink:
    """`sink`, and the file that `--events-file` or `--events-fd` names."""
    descriptor = open_events(values.get("events_fd") or None, values.get("events_file", ""))
    if descriptor is None:
        return sink
    lines = EventLines(descriptor)

    def tell(event: Event) -> None:
        lines(event)
        sink(event)

    return tell
