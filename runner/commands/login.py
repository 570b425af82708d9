"""`krunner login`: that of `executor`."""

from __future__ import annotations

from runner.executor import login_command

command = login_command("login")
