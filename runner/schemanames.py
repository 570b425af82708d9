"""The JSON schemas by name: the files of `schemas/`."""

from __future__ import annotations

from typing import Literal, get_args

Name = Literal["builds", "result", "events", "plan", "keys", "doctor", "prune"]
NAMES: tuple[Name, ...] = get_args(Name)
