"""--credential-helpers of kaniko's fork: who is asked for logins beside docker's files. Without it: all.

gitlab                   the variables of a job of GitLab, as without the flag
'' (an empty value)      nobody but the files, and the helpers that these name
env, google, ecr, acr    refused: built into kaniko, here programs that config.json names
"""

from __future__ import annotations

from collections.abc import Sequence

from executor.errors import NotSupportedError, UsageError

_PROGRAMS = {
    "google": "docker-credential-gcr",
    "ecr": "docker-credential-ecr-login",
    "acr": "docker-credential-acr-env",
}


def takes_automatic_logins(names: Sequence[str]) -> bool:
    """Whether what GitLab gives a job counts. Raises NotSupportedError and UsageError."""
    for name in names:
        if name in _PROGRAMS:
            program = _PROGRAMS[name]
            raise NotSupportedError(
                f"--credential-helpers={name} is not supported: no cloud's helper is built in",
                hint=f"put {program} on PATH, name it in credHelpers of config.json, and leave the flag out",
            )
        if name == "env":
            raise NotSupportedError(
                "--credential-helpers=env is not supported: KANIKO_…_USER and KANIKO_…_PASSWORD are not read",
                hint="write a login with `executor login`, or set DOCKER_AUTH_CONFIG",
            )
        if name not in ("", "gitlab"):
            raise UsageError(
                f"--credential-helpers={name}: there is no such helper", hint="gitlab, or an empty value"
            )
    return not names or "gitlab" in names
