"""What builds with secrets use: a registry with a password, a git server with a token, an agent with a key."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integration.differential.sites import serve_sites, ssh_agent
from integration.support import bases, registries
from integration.support.gitserver import serve_git
from integration.support.programs import run
from integration.support.registries import RegistryServer, serve_registry

SHOWN = "not-a-secret-but-a-build-argument"
"""The control: it must be found, else the search finds nothing at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all builds use. `kept` is outside of what is searched; secrets are by the kind of their source."""

    registry: RegistryServer
    git: str
    kept: Path
    socket: Path
    values: Mapping[str, str]
    private_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """The environment of a build: credentials, the agent, and the secret that is a variable."""
        return {
            "DOCKER_CONFIG": str(self.kept),
            "SSH_AUTH_SOCK": str(self.socket),
            "THE_TOKEN": self.values["variable"],
        }

    def all(self) -> dict[str, str]:
        """Every byte string that must be found nowhere, by name."""
        return {**self.values, "registry": registries.PASSWORD, "key": self.private_key}

    def dockerfile(self, *, last: str, mounts: str) -> str:
        """A Dockerfile that uses all secrets, shows them, and ends with the command `last`."""
        return (
            f"FROM {self.registry.host}/busybox\nARG SHOWN\nRUN echo $SHOWN > /shown\n"
            f"ADD http://tester:{self.values['git']}@{self.git}/repo.git#v1 /repository\n"
            f"RUN {mounts} \\\n"
            '  echo "it is $TOKEN!"; echo "$TOKEN" >&2; md5sum /run/secrets/* > /sums 2> /dev/null; '
            "cat /run/secrets/*; test ! -e /agent || echo agent > /used; set | grep TOKEN; "
            'printf %s "$TOKEN" | base64; printf %s "$TOKEN" | xxd -p -c 256; true\n'
            f"RUN --mount=type=secret,id=variable,env=TOKEN {last}\n"
        )


@contextlib.contextmanager
def serve_world(kept: Path) -> Iterator[World]:
    """Make secrets and serve what wants them, with everything that knows them in the folder `kept`."""
    kept.mkdir()
    values = {kind: f"{kind[:2]}+{secrets.token_hex(9)}/@ %{kind}" for kind in ("file", "variable")}
    values["git"] = f"gt{secrets.token_hex(12)}"
    (kept / "file").write_text(values["file"])
    pair = f"{registries.USER}:{registries.PASSWORD}"
    with (
        serve_registry(kept / "registry", password=True) as registry,
        serve_sites(kept / "sites"),
        serve_git(kept / "sites" / "git", token=_basic(f"tester:{values['git']}")) as git,
        ssh_agent(kept / "ssh") as socket,
    ):
        (kept / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": _basic(pair)}}}))
        _push(bases.busybox_archive(), registry.host, pair)
        key = "".join((kept / "ssh" / "key").read_text().splitlines()[1:-1])
        yield World(registry=registry, git=git, kept=kept, socket=socket, values=values, private_key=key[-100:])


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def _push(archive: Path, host: str, pair: str) -> None:
    words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"--dest-creds={pair}"]
    run([*words, f"docker-archive:{archive}", f"docker://{host}/busybox:latest"])


MOUNTS = (
    "--mount=type=secret,id=file --mount=type=secret,id=variable,env=TOKEN,target=/run/secrets/v "
    "--mount=type=ssh,target=/agent"
)
"""All kinds of mounts of secrets."""
