"""The command `krunner`: has its command line carried out, turns errors into messages and exit codes.

What is imported here is needed by all: before a build imports the rest, it forks the process of its workers, which
has more to import, and does so meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from executor.errors import Error, InternalError, InvalidFileError, machine_faults_explained
from executor.leaving import leave_after
from executor.standardstreams import make_usable
from runner.commands.names import is_build
from runner.executor import INSTALLED, Executor
from runner.invocation import Invocation


def entry() -> NoReturn:
    """What the command `krunner` calls."""
    leave_after(main)


def main(argv: Sequence[str] | None = None, *, executor: Executor = INSTALLED) -> int:
    """Run the command line `argv` (None: this process's own) and return the exit code."""
    make_usable()
    invocation = Invocation(executor)
    try:
        with machine_faults_explained():
            return _run(sys.argv[1:] if argv is None else argv, invocation)
    except KeyboardInterrupt:
        return 130
    except Error as error:
        return _report(error, debug=invocation.debug)
    except Exception as error:  # noqa: BLE001  # the last border: a bug must not look like a failed build
        bug = InternalError(
            f"unexpected {type(error).__name__}: {error}",
            hint="this is a bug: please report it with the output of the same command and --debug",
        )
        return _report(bug, debug=invocation.debug)
    finally:
        gc.enable()
        invocation.close()


def _run(words: Sequence[str], invocation: Invocation) -> int:
    if is_build(words):
        gc.disable()  # modules are no garbage, and there are many
        invocation.start_workers()
    from runner.commands.group import run

    return run(words, invocation)


def _report(error: Error, *, debug: bool) -> int:
    with contextlib.suppress(OSError):  # nobody reads, or there is no room: the exit code says what it can
        if debug:
            traceback.print_exc()
        if isinstance(error, InvalidFileError):
            count = len(error.diagnostics)
            print(f"{error.describe()}\n{count} {'fault' if count == 1 else 'faults'} found", file=sys.stderr)
        else:
            print(f"krunner: {error.describe()}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
