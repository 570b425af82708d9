"""The `executor` command without its start: a process that has imported it forks a child for each command line.

Run as a program it reads one JSON request a line and answers with the exit status. It imports nothing of the tests
and so also runs where only the project's own image is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended; `output` is all that it printed."""

    status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preloaded:
    """A running server. `folder` is where output goes, `seen_as` the server's own name for it."""

    process: subprocess.Popen[str]
    folder: Path
    seen_as: str

    def run(self, *words: str | Path) -> Done:
        """Run `executor WORDS` to its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            request = {"argv": [str(word) for word in words], "output": f"{self.seen_as}/{Path(file.name).name}"}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            assert answer, "the server is gone"
            return Done(status=int(answer), output=Path(file.name).read_text(errors="replace"))


@contextmanager
def started(argv: Sequence[str | Path], *, folder: Path, seen_as: str = "", **options: Any) -> Iterator[Preloaded]:
    """The server that `argv` starts: an interpreter, perhaps in a container, and this file."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
    try:
        yield Preloaded(process=process, folder=folder, seen_as=seen_as or str(folder))
    finally:
        process.communicate(timeout=60)  # it ends with its standard input


def main() -> None:
    """Serve requests until the standard input ends."""
    import executor.cli
    from executor.build import worker

    worker.preload()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(executor.cli.main, request)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(command: Callable[[list[str]], None], request: dict[str, Any]) -> NoReturn:
    output = os.open(request["output"], os.O_WRONLY | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((null, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, standard)
    try:
        command(request["argv"])
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 0)
    os._exit(0)


if __name__ == "__main__":
    main()
