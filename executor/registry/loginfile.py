"""Logins written into docker's config.json, and taken out of it, as `docker login` and `docker logout` do.

What else is in the file stays. Where it names a credential helper for the registry (`credHelpers`, `credsStore`),
that keeps the secret, and the file has an empty entry. The file is replaced as a whole, by one that only its owner
reads; who changes it meanwhile waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from typing import Any

from executor.errors import UnfitError
from executor.events import Sink
from executor.image.reference import DOCKER_HUB
from executor.registry.credentialhelper import HUB_SERVER
from executor.registry.credentials import Credential
from executor.registry.dockerconfig import DockerConfig, normal_key, parse_docker_config
from executor.registry.hosts import canonical_host
from executor.replacing import replacing


def keep_login(path: str, registry: str, credential: Credential, sink: Sink) -> str:
    """Write the login at `registry` (`host[:port]`) into the file at `path`; returns who keeps it: file or helper.

    Raises InvalidFileError for a file that is none of docker's, UnfitError where it or the helper cannot keep it.
    """
    with _changing(path, sink) as (config, document):
        helper = config.helper(registry)
        if helper:
            helper.store(canonical_host(registry), credential)
        _remove(document, registry)
        document["auths"] = (document.get("auths") or {}) | {_key(registry): {} if helper else _entry(credential)}
    return helper.program if helper else path


def forget_login(path: str, registry: str, sink: Sink) -> bool:
    """Remove the login at `registry` from the file at `path` and its helper; False when there was none.

    Raises as `keep_login` does.
    """
    if not os.path.exists(path):
        return False
    with _changing(path, sink) as (config, document):
        helper = config.helper(registry)
        erased = helper.erase(canonical_host(registry)) if helper else False
        return _remove(document, registry) or erased


@contextlib.contextmanager
def _changing(path: str, sink: Sink) -> Iterator[tuple[DockerConfig, dict[str, Any]]]:
    """The file at `path` as it is, and its document, which is written back if the block has changed it."""
    try:
        path = os.path.realpath(path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with _locked(os.path.dirname(path)):
            content = _content(path)
            config = parse_docker_config(content, path, sink)
            document = json.loads(content)
            yield config, document
            if document != json.loads(content):
                _write(path, document)
    except OSError as error:
        raise UnfitError(
            f"cannot write {path}: {error.strerror}",
            hint="DOCKER_CONFIG=FOLDER names another folder for config.json",
        ) from error


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold off others of ours that change files in `folder`, where its file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read().strip() or b"{}"
    except FileNotFoundError:
        return b"{}"


def _write(path: str, document: dict[str, Any]) -> None:
    with replacing(path) as file:
        os.fchmod(file.fileno(), 0o600)
        if os.geteuid() == 0 and os.path.exists(path):
            found = os.stat(path)
            os.fchown(file.fileno(), found.st_uid, found.st_gid)
        file.write(json.dumps(document, indent="\t").encode() + b"\n")


def _remove(document: dict[str, Any], registry: str) -> bool:
    """Take the entries for the whole of `registry` out, however they are spelled."""
    auths = document.get("auths") or {}
    found = [key for key in auths if normal_key(key) == canonical_host(registry)]
    for key in found:
        del auths[key]
    return bool(found)


def _key(registry: str) -> str:
    return HUB_SERVER if canonical_host(registry) == DOCKER_HUB else registry


def _entry(credential: Credential) -> dict[str, str]:
    token = credential.identity_token.reveal()
    return {"auth": credential.basic()} | ({"identitytoken": token} if token else {})
