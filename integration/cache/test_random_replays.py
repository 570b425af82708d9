"""Random Dockerfiles: what the cache replays is what was built, in tree and configuration, byte for byte."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from integration.cache.test_layer_cache import Builds, builds, config_of, untimed
from integration.support.flatten import flatten, link_groups
from integration.support.recipes import File, Hardlink, Node, Symlink, make_files
from integration.support.registries import RegistryServer

__all__ = ["builds"]

LISTING = (
    "find / -xdev ! -path /listing | sort"
    """ | while read p; do stat -c '%n %a %u:%g %F' "$p"; readlink "$p"; done > /listing; true"""
)
PATHS = ("/a", "/a/b", "/a/b/c", "/d", "/d/e", "/d/e/f", "/etc/x", "/l")
CONTEXT: dict[str, Node] = {
    "tree/plain": File(content="plain"),
    "tree/attributes": File(content="x", mode=0o755, xattrs={"user.note": b"kept", "user.other": b"\0\xff"}),
    "tree/able": File(mode=0o755, xattrs={"security.capability": bytes.fromhex("0100000202000000" + "00" * 12)}),
    "tree/hard": Hardlink("tree/plain"),
    "tree/sub/link": Symlink("../plain"),
    "tree/sub/mode": File(content="m", mode=0o4711),
    "single": File(content="single", mode=0o600),
}


class Author:
    """Writes instructions that go well whatever came before them, and give the same each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def dockerfile(self) -> list[str]:
        """The lines of a Dockerfile with two stages."""
        copied = ["/ /all/", "/bin /cop* /picked/", "--chown=3:4 /etc /etc/"]
        first, second = ([self.step(stage) for _ in range(self._random.randint(4, 7))] for stage in range(2))
        return [
            f"FROM registry.test/{self._random.choice(['busybox', 'layered'])} AS first",
            "USER 0",
            *first,
            "FROM registry.test/layered",
            "USER 0",
            *second,
            f"COPY --from=first {self._random.choice(copied)}",
            self.step(1),
        ]

    def changed(self, lines: list[str]) -> list[str]:
        """The same with a new step at the end, and one that writes down what commands see of all that was made."""
        return [*lines, self.step(0), f"RUN {LISTING}"]

    def step(self, stage: int) -> str:
        """An instruction that changes files."""
        chosen = self._random.choices(("RUN", "COPY", "WORKDIR"), (6, 3, 1))[0]
        if chosen == "WORKDIR":
            return f"WORKDIR /work/{self._random.randint(0, 2)}"
        if chosen == "COPY":
            flags = self._random.choice(["", "--chown=5:6 ", "--chmod=4751 ", "--link "])
            source = self._random.choice(["tree", "tree/sub", "single", "tree/attributes tree/able", "."])
            return f"COPY {flags}{source} /copied{self._random.randint(0, 2)}/"
        commands = [self._command() for _ in range(self._random.randint(1, 4))]
        return f"RUN {'; '.join(commands)}; true"

    def _command(self) -> str:
        path, other = self._path(), self._path()
        number = self._random.randint(0, 9)
        return self._random.choice(
            [
                f"mkdir -p {path}; echo {number} > {path}/file{number}",
                f"rm -rf {path}",
                f"rm -rf {path}; mkdir -p {path}; echo again > {path}/new",
                f"ln -f {path}/file{number} {other}/hard",
                f"ln -sfn {other} {path}/link{number}",
                f"rm -rf /moved; mv {path} /moved",
                f"echo {number} > {path}",
                f"rm -rf {path}; ln -s {other} {path}",
                f"chmod {self._random.choice(['0700', '1777', '2755', '4711'])} {path}",
                f"chown -h {number}:{number + 1} {path}",
                f"rm -f {path}/pipe; mkfifo {path}/pipe",
                f"rm -f {path}/*; truncate -s 100000 {path}/hole",
            ]
        )

    def _path(self) -> str:
        return self._random.choice(PATHS)


@pytest.fixture
def random_builds(builds: Builds) -> Builds:
    make_files(builds.context, CONTEXT)
    return builds


def place_of(kind: str, folder: Path, registry: RegistryServer) -> str:
    return f"{registry.host}/random/{folder.name}" if kind == "registry" else f"{kind}:{folder}/cache"


@pytest.mark.parametrize(("seed", "kind"), [(1, "registry"), (2, "oci"), (3, "dir")])
def test_a_replay_is_the_build_that_it_replays(
    random_builds: Builds, registry: RegistryServer, seed: int, kind: str
) -> None:
    author, built = Author(seed), random_builds
    place = place_of(kind, built.folder, registry)
    lines = author.dockerfile()
    text = "\n".join(lines) + "\n"
    fresh = built.cached(text, place)
    assert not any(built.hits)
    replayed = built.cached(text, place)
    assert all(built.hits), text
    assert built.events("DriverChosen") == [], "nothing needed a file system"
    assert replayed.layers == fresh.layers, text
    assert flatten(replayed) == flatten(fresh)
    assert config_of(replayed) == config_of(fresh)
    changed = "\n".join(author.changed(lines)) + "\n"
    partly = built.cached(changed, place)
    assert any(built.hits), changed
    uncached = built(changed)
    assert untimed(flatten(uncached)) == untimed(flatten(partly)), changed
    assert link_groups(flatten(uncached)) == link_groups(flatten(partly))
    assert config_of(uncached) == config_of(partly)
