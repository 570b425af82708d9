"""Logging in and out: the registry asked, then the login written into docker's file, or taken out of it."""

from __future__ import annotations

from collections.abc import Mapping

from executor.errors import UsageError
from executor.events import Sink, Warned
from executor.login.request import LoginRequest
from executor.registry.credentials import Keychain, login_file
from executor.registry.logincheck import check_login
from executor.registry.loginfile import forget_login, keep_login
from executor.spec import RegistryOptions


def log_in(request: LoginRequest, options: RegistryOptions, sink: Sink, environ: Mapping[str, str]) -> str:
    """Check the login and keep it; returns what was done, in words.

    Raises AuthError and RegistryError as the registry answers, InvalidFileError for a malformed config.json,
    UnfitError when it or its credential helper cannot keep the login.
    """
    path = _login_file(environ)
    checked = check_login(request.registry, request.credential, options, sink)
    if not checked.asked:
        sink(Warned(message=f"{request.registry} lets everybody in: the login could not be checked"))
    keeper = keep_login(path, request.registry, checked.credential, sink)
    _warn_of_another(request.registry, sink, environ)
    return f"Logged in at {request.registry} as {request.credential.username}, kept by {keeper}"


def log_out(registry: str, sink: Sink, environ: Mapping[str, str]) -> str:
    """Forget the login at `registry`; returns what was done, in words. Raises InvalidFileError, UnfitError."""
    path = _login_file(environ)
    known = forget_login(path, registry, sink)
    _warn_of_another(registry, sink, environ)
    return f"Logged out of {registry}" if known else f"There was no login at {registry} in {path}"


def _warn_of_another(registry: str, sink: Sink, environ: Mapping[str, str]) -> None:
    """$DOCKER_AUTH_CONFIG is asked before any file."""
    only = {"DOCKER_AUTH_CONFIG": environ.get("DOCKER_AUTH_CONFIG", "")}
    if Keychain.from_environment(only, sink).lookup(registry, ""):
        sink(Warned(message=f"$DOCKER_AUTH_CONFIG has a login at {registry} too, and it is the one that counts"))


def _login_file(environ: Mapping[str, str]) -> str:
    path = login_file(environ)
    if not path:
        raise UsageError(
            "neither DOCKER_CONFIG nor HOME is set", hint="DOCKER_CONFIG names the config.json's folder"
        )
    return path
