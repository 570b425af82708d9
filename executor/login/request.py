"""What a command line asks to be kept or forgotten: the registry, and the password, wherever it comes from.

No message quotes a word of the command line that is out of place: it may be a password.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from executor.dataclass import dataclass
from executor.errors import UsageError
from executor.events import Sink, Warned
from executor.image.reference import DOCKER_HUB, Reference
from executor.registry.credentials import Credential, Secret
from executor.registry.dockerconfig import normal_key

_MOST = 1024 * 1024
"""Bytes of a password; service accounts' keys have some kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """The login at `registry` (`host[:port]`) as it was given."""

    registry: str
    credential: Credential


def login_request(words: Sequence[str], values: Mapping[str, Any], sink: Sink) -> LoginRequest:
    """The registry of `words`, and user and password of the flags `values`. Raises UsageError.

    What is not given is asked for where there is a terminal. `sink` is warned of a password that others can see.
    """
    registry = named_registry(words)
    username, password, from_input = values["username"], values["password"], values["password_stdin"]
    if password and from_input:
        raise UsageError("--password and --password-stdin contradict each other")
    if from_input and not username:
        raise UsageError("--password-stdin needs a --username", hint=_EMPTY)
    origin = "the command line"
    if password:
        message = "a password on the command line is seen by other processes and kept in the shell's history"
        sink(Warned(message=f"{message}: use --password-stdin"))
    elif from_input:
        password, origin = _from_input(), "standard input"
    else:
        username, password, origin = (*_from_terminal(username), "the terminal")
    if not username or ":" in username:
        raise UsageError(f"the user name {'has a colon' if username else 'is empty'}", hint=_EMPTY)
    if not _is_text(username + password):
        raise UsageError("the user name or the password is not UTF-8")
    return LoginRequest(
        registry=registry, credential=Credential(username=username, password=Secret(password), origin=origin)
    )


_EMPTY = "is the variable that it should come from set in this job?"


def named_registry(words: Sequence[str]) -> str:
    """The registry's `host[:port]`, with or without https:// before it; Docker Hub where none is named.

    Raises UsageError.
    """
    if len(words) > 1:
        raise UsageError("there may be one registry", hint="the password comes by --password-stdin")
    if not words:
        return DOCKER_HUB
    host, _, path = normal_key(words[0]).partition("/")
    if path and host != DOCKER_HUB:
        raise UsageError("a login is for a whole registry: HOST or HOST:PORT, without a path behind it")
    if not _is_host(host):
        raise UsageError(
            "REGISTRY is not HOST or HOST:PORT", hint="as registry.example:5000; Docker Hub needs no name"
        )
    return host


def _is_host(text: str) -> bool:
    """Whether an image's name may begin with `text` as its registry."""
    try:
        return Reference.parse(f"{text}/x").registry == text
    except UsageError:
        return False


def _is_text(words: str) -> bool:
    """Whether nothing in `words` came as bytes that are no text (PEP 383)."""
    return not any("\ud800" <= char <= "\udfff" for char in words)


def _from_input() -> str:
    """The password on standard input, without the end of its line."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("--password-stdin: standard input is a terminal or closed", hint='echo "$TOKEN" | …')
    content = sys.stdin.buffer.read(_MOST + 1)
    try:
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("the password on standard input is not UTF-8") from None
    if not password or len(content) > _MOST:
        raise UsageError(f"the password on standard input is {'too long' if password else 'empty'}", hint=_EMPTY)
    return password


def _from_terminal(username: str) -> tuple[str, str]:
    """What a person answers."""
    if sys.stdin is None or not sys.stdin.isatty():
        missing = "a --username and --password-stdin" if not username else "--password-stdin"
        raise UsageError(
            f"no password: {missing} needed", hint='echo "$TOKEN" | … --username NAME --password-stdin'
        )
    import getpass

    try:
        username = username or input("User name: ").strip()
        password = getpass.getpass("Password: ")
    except EOFError:
        raise UsageError("no answer") from None
    if not password:
        raise UsageError("the password is empty")
    return username, password
