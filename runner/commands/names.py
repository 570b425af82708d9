"""The names of the commands, and which of them a command line means."""

from __future__ import annotations

from collections.abc import Sequence

COMMANDS = (
    "build",
    "push",
    "validate",
    "plan",
    "lint",
    "login",
    "logout",
    "prune",
    "report",
    "schema",
    "completion",
    "doctor",
    "version",
)
_OF_NO_COMMAND = ("-h", "--help", "--version")


def is_build(words: Sequence[str]) -> bool:
    """Whether `words`, a command line, ask for a build: that is the command where they name none."""
    return bool(words) and (words[0] == "build" or words[0] not in (*COMMANDS, *_OF_NO_COMMAND))
