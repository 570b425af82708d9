"""docker's config.json and podman's auth.json: which credential belongs to which registry or repository.

    {"auths": {"registry[/path]": {"auth": base64("user:password")}},   or username and password, or identitytoken
     "credHelpers": {"registry": "helper"}, "credsStore": "helper"}

Keys may have a scheme, a trailing /v1/ or /v2/, and any of Docker Hub's names; the longest matching path wins.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from executor.errors import Diagnostic, InvalidFileError, Location
from executor.events import Sink
from executor.registry.credentialhelper import CredentialHelper
from executor.registry.credentials import Credential, Secret
from executor.registry.hosts import canonical_host

_FIELDS = ("auth", "username", "password", "identitytoken", "registrytoken")


class DockerConfig:
    """One configuration, its keys in their normal form `host[/path]`."""

    def __init__(
        self,
        auths: Mapping[str, Credential],
        helpers: Mapping[str, CredentialHelper],
        store: CredentialHelper | None,
    ) -> None:
        self._auths = auths
        self._helpers = helpers
        self._store = store

    def registries(self) -> tuple[str, ...]:
        """The registries that the file itself has credentials for, in alphabetical order."""
        return tuple(sorted(self._auths))

    def helpers(self) -> Iterator[tuple[str, CredentialHelper]]:
        """The helpers by registry; the general one is that of `*`."""
        yield from sorted(self._helpers.items(), key=lambda item: item[0])
        if self._store:
            yield "*", self._store

    def helper(self, registry: str) -> CredentialHelper | None:
        """The helper that keeps the logins at `registry`, None when the file does."""
        return self._helpers.get(canonical_host(registry), self._store)

    def lookup(self, registry: str, repository: str) -> Credential | None:
        """The credential for a repository: a helper named for it, the file's own entry, the general helper."""
        scopes = list(_scopes(f"{canonical_host(registry)}/{repository}"))
        for scope in scopes:
            if (helper := self._helpers.get(scope)) and (found := helper.get(scope)):
                return found
        for scope in scopes:
            if found := self._auths.get(scope):
                return found
        return self._store.get(canonical_host(registry)) if self._store else None


def read_docker_config(path: str, sink: Sink) -> DockerConfig | None:
    """The configuration in the file at `path`, None when there is no file. Raises InvalidFileError."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _invalid(path, f"cannot be read: {error.strerror}") from error
    return parse_docker_config(content, path, sink) if content.strip() else None


def parse_docker_config(content: bytes, origin: str, sink: Sink) -> DockerConfig:
    """Read a configuration. Raises InvalidFileError, which tells places and keys but nothing of the contents."""
    try:
        document = json.loads(content.decode())
    except json.JSONDecodeError as error:
        raise _invalid(origin, f"is not JSON: {error.msg}", line=error.lineno, column=error.colno) from None
    except UnicodeDecodeError:
        raise _invalid(origin, "is not JSON: not UTF-8") from None
    except RecursionError:
        raise _invalid(origin, "is nested too deep") from None
    faults: list[Diagnostic] = []
    reader = _Reader(origin, sink, faults)
    config = reader.config(document)
    if faults:
        raise InvalidFileError(faults, hint="`docker login` writes this file in its right form")
    return config


def gitlab_configs(environ: Mapping[str, str]) -> Iterator[DockerConfig]:
    """What GitLab's predefined variables say of its container registry and its dependency proxy."""
    for server, prefix in (("CI_REGISTRY", "CI_REGISTRY"), ("CI_DEPENDENCY_PROXY_SERVER", "CI_DEPENDENCY_PROXY")):
        host, user, password = (environ.get(name, "") for name in (server, f"{prefix}_USER", f"{prefix}_PASSWORD"))
        if host and user and password:
            credential = Credential(username=user, password=Secret(password), origin=f"${prefix}_PASSWORD")
            yield DockerConfig({normal_key(host): credential}, {}, None)


class _Reader:
    """Turns the JSON document into a DockerConfig and collects what is wrong with it."""

    def __init__(self, origin: str, sink: Sink, faults: list[Diagnostic]) -> None:
        self._origin = origin
        self._sink = sink
        self._faults = faults

    def config(self, document: Any) -> DockerConfig:
        if not isinstance(document, dict):
            self._fault("", "must be an object")
            return DockerConfig({}, {}, None)
        auths: dict[str, Credential] = {}
        for key, entry in self._object(document, "auths").items():
            credential = self._credential(f"auths.{key}", entry)
            if credential:
                auths.setdefault(normal_key(key), credential)
        helpers = {
            normal_key(key): CredentialHelper(name, self._sink)
            for key, name in self._object(document, "credHelpers").items()
            if self._is_name(f"credHelpers.{key}", name)
        }
        store = document.get("credsStore")
        has_store = bool(store) and self._is_name("credsStore", store)
        return DockerConfig(auths, helpers, CredentialHelper(str(store), self._sink) if has_store else None)

    def _credential(self, path: str, entry: Any) -> Credential | None:
        fields = _fields(entry)
        if fields is None:
            self._fault(path, "must be an object of strings")
            return None
        username, password = fields["username"], fields["password"]
        if fields["auth"]:
            try:
                username, password = _decode_auth(fields["auth"])
            except ValueError:
                self._fault(f"{path}.auth", "must be user:password in base64")
                return None
        return Credential(
            username=username,
            password=Secret(password),
            identity_token=Secret(fields["identitytoken"]),
            registry_token=Secret(fields["registrytoken"]),
            origin=self._origin,
        )

    def _object(self, document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = document.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self._fault(key, "must be an object")
        return {}

    def _is_name(self, path: str, value: Any) -> bool:
        if isinstance(value, str) and value and os.sep not in value:
            return True
        self._fault(
            path, "must be the name of a credential helper, as `ecr-login` for docker-credential-ecr-login"
        )
        return False

    def _fault(self, path: str, message: str) -> None:
        self._faults.append(Diagnostic(Location(self._origin), message, path=path))


def _fields(entry: Any) -> dict[str, str] | None:
    """What is of use in an entry of `auths`, '' for what is missing or null; None when it is no such entry."""
    if not isinstance(entry, dict):
        return None
    fields = {name: entry.get(name) or "" for name in _FIELDS}
    return fields if all(isinstance(value, str) for value in fields.values()) else None


def _decode_auth(text: str) -> tuple[str, str]:
    """User and password. `base64` breaks long ones into lines, which docker does not mind. Raises ValueError."""
    text = "".join(text.splitlines())
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError from None
    username, colon, password = decoded.rstrip("\x00").partition(":")
    if not colon:
        raise ValueError
    return username, password


def normal_key(key: str) -> str:
    """`host[/path]` of a key of `auths` or `credHelpers`, whatever else it is dressed in."""
    bare = key.partition("://")[2] or key
    host, _, path = bare.strip("/").partition("/")
    if path in ("v1", "v2"):
        path = ""
    return f"{canonical_host(host)}/{path}".rstrip("/")


def _scopes(name: str) -> Iterator[str]:
    """`registry/a/b`, then `registry/a`, then `registry`."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _invalid(origin: str, message: str, *, line: int = 0, column: int = 0) -> InvalidFileError:
    return InvalidFileError([Diagnostic(Location(origin, line, column), message)])
