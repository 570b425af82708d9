"""The values of --secret and --ssh, as Docker's command line has them: where a secret is, never what it is.

What is wrong is not quoted: who misreads the flag may have written the secret itself.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence

from executor.errors import UsageError
from executor.spec import SecretSource

_KEYS = {"id": "id", "src": "src", "source": "src", "env": "env", "type": "type"}
_FORM = "write id=NAME,src=FILE or id=NAME,env=VARIABLE"


def parse_secrets(texts: Sequence[str], environ: Mapping[str, str]) -> tuple[SecretSource, ...]:
    """`id=ID,src=FILE` or `id=ID,env=NAME`; with an id alone the variable of that name, else the file.

    Paths come out absolute. Raises UsageError.
    """
    sources = [_secret(text, environ) for text in texts]
    _refuse_twice("--secret", [source.id for source in sources])
    return tuple(sources)


def _secret(text: str, environ: Mapping[str, str]) -> SecretSource:
    values = _values(text)
    secret_id, kind, path, variable = (values.get(key, "") for key in ("id", "type", "src", "env"))
    if not secret_id:
        raise UsageError("a --secret has no id", hint=_FORM)
    if kind not in ("", "file", "env"):
        raise UsageError(f"--secret id={secret_id}: type is file or env, not {kind!r}")
    if path and variable:
        raise UsageError(f"--secret id={secret_id} has both a file and a variable")
    if kind == "env" and path:
        path, variable = "", path  # type=env,src=NAME
    if not path and not variable:
        path, variable = ("", secret_id) if kind != "file" and secret_id in environ else (secret_id, "")
    return SecretSource(id=secret_id, path=os.path.abspath(path) if path else "", env=variable)


def _values(text: str) -> dict[str, str]:
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise UsageError(f"a --secret cannot be parted at its commas: {error}", hint=_FORM) from None
    values: dict[str, str] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        key = _KEYS.get(name.strip().lower())
        if key is None or not equals:
            raise UsageError("a part of a --secret is not id=, src=, env= or type=", hint=_FORM)
        values[key] = value
    return values


def parse_agents(texts: Sequence[str]) -> dict[str, str]:
    """`ID` or `ID=SOCKET`; the socket is '' when SSH_AUTH_SOCK is to tell it. Raises UsageError."""
    pairs = [text.partition("=")[::2] for text in texts]
    for agent_id, path in pairs:
        if not agent_id:
            raise UsageError("--ssh has no id", hint="write --ssh default, or --ssh ID=SOCKET")
        if "," in path:
            raise UsageError(f"--ssh {agent_id}: several keys are not supported", hint="add them to an ssh-agent")
    _refuse_twice("--ssh", [agent_id for agent_id, _ in pairs])
    return {agent_id: os.path.abspath(path) if path else "" for agent_id, path in pairs}


def _refuse_twice(flag: str, ids: Sequence[str]) -> None:
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        raise UsageError(f"{flag} has the id {twice[0]!r} twice")
