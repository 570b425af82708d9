"""Who we are at a registry: docker's and podman's configuration files, and what docker's credential helpers know.

Sources are asked in this order, and the first that knows the registry decides: $DOCKER_AUTH_CONFIG (JSON),
$DOCKER_CONFIG (directory or file) or ~/.docker/config.json, $REGISTRY_AUTH_FILE,
$XDG_RUNTIME_DIR/containers/auth.json, and what GitLab gives its jobs: $CI_REGISTRY_USER and
$CI_REGISTRY_PASSWORD for $CI_REGISTRY, as kaniko does, and the same of CI_DEPENDENCY_PROXY. Secrets are held as
`Secret`, which does not print.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from shutil import which
from typing import TYPE_CHECKING, NoReturn

from executor.dataclass import dataclass
from executor.diagnosis import CredentialsFinding
from executor.errors import InvalidFileError
from executor.events import Sink, discard

if TYPE_CHECKING:
    from executor.registry.dockerconfig import DockerConfig


class Secret:
    """A piece of text that shows itself only to who calls `reveal`. An empty one is false."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")


_NOTHING = Secret()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What to log in with: user name and password, or an identity (refresh) token, or a ready bearer token.

    `origin` says for messages where it came from, as "/root/.docker/config.json".
    """

    username: str = ""
    password: Secret = _NOTHING
    identity_token: Secret = _NOTHING
    registry_token: Secret = _NOTHING
    origin: str = ""

    def secrets(self) -> Iterator[str]:
        """Every text that must not be shown, for cutting it from what servers say."""
        for secret in (self.password, self.identity_token, self.registry_token):
            if secret:
                yield secret.reveal()
        if self.password:
            yield self.basic()

    def basic(self) -> str:
        """User and password as HTTP's Basic authorization and docker's configuration have them (RFC 7617)."""
        return base64.b64encode(f"{self.username}:{self.password.reveal()}".encode()).decode()

    def __bool__(self) -> bool:
        return bool(self.password or self.identity_token or self.registry_token)

    def __str__(self) -> str:
        who = f"as user {self.username!r}" if self.username else "with a token"
        return f"{who} from {self.origin}"


class Keychain:
    """Finds credentials by registry and repository. Safe for several threads."""

    def __init__(self, configs: Sequence[DockerConfig] = ()) -> None:
        self._configs = tuple(configs)

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, sink: Sink = discard, *, automatic: bool = True
    ) -> Keychain:
        """Read the configuration files that `environ` points to and, if `automatic`, what GitLab gives a job.

        Raises InvalidFileError with the faults of a malformed file. `sink` hears of credential helpers that do
        not work.
        """
        from executor.registry.dockerconfig import gitlab_configs, parse_docker_config, read_docker_config

        configs = []
        if text := environ.get("DOCKER_AUTH_CONFIG", ""):
            configs.append(parse_docker_config(text.encode(), "$DOCKER_AUTH_CONFIG", sink))
        found = (read_docker_config(path, sink) for path in _config_files(environ))
        configs.extend(config for config in found if config)
        configs.extend(gitlab_configs(environ) if automatic else ())
        return cls(configs)

    def lookup(self, registry: str, repository: str) -> Credential | None:
        """The credential for `repository` (without its registry) at `registry`, None to be anonymous."""
        found = (config.lookup(registry, repository) for config in self._configs)
        return next(filter(None, found), None)


def credential_sources(environ: Mapping[str, str] = os.environ) -> Iterator[CredentialsFinding]:
    """Where `Keychain.from_environment` looks, and what is there; nobody is asked for a secret."""
    from executor.registry.dockerconfig import gitlab_configs, parse_docker_config, read_docker_config

    if text := environ.get("DOCKER_AUTH_CONFIG", ""):
        yield _finding("$DOCKER_AUTH_CONFIG", lambda: parse_docker_config(text.encode(), "", discard))
    for path in _config_files(environ):
        yield _finding(path, partial(read_docker_config, path, discard))
    for config in gitlab_configs(environ):
        yield CredentialsFinding(source="GitLab's variables", found=True, registries=config.registries())


def _finding(source: str, read: Callable[[], DockerConfig | None]) -> CredentialsFinding:
    try:
        config = read()
    except InvalidFileError as error:
        problems = tuple(diagnostic.message for diagnostic in error.diagnostics)
        return CredentialsFinding(source=source, found=True, problems=problems)
    if config is None:
        return CredentialsFinding(source=source, found=False)
    helpers = tuple((registry, helper.program) for registry, helper in config.helpers())
    return CredentialsFinding(
        source=source,
        found=True,
        registries=config.registries(),
        helpers=helpers,
        problems=tuple(f"{name} is not on PATH" for name in {name: 0 for _, name in helpers} if not which(name)),
    )


def login_file(environ: Mapping[str, str]) -> str:
    """The file in which docker keeps logins, '' where `environ` has neither $DOCKER_CONFIG nor $HOME."""
    known = environ.get("DOCKER_CONFIG") or environ.get("HOME")
    return next(_config_files(environ)) if known else ""


def _config_files(environ: Mapping[str, str]) -> Iterator[str]:
    folder = environ.get("DOCKER_CONFIG", "")
    home = environ.get("HOME", "")
    if folder:
        yield os.path.join(folder, "config.json") if not os.path.isfile(folder) else folder
    elif home:
        yield os.path.join(home, ".docker", "config.json")
    if path := environ.get("REGISTRY_AUTH_FILE", ""):
        yield path
    if runtime := environ.get("XDG_RUNTIME_DIR", ""):
        yield os.path.join(runtime, "containers", "auth.json")
