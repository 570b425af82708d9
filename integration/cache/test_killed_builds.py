"""Builds that share a store and are killed at random moments, while others build and prune: nobody notices."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from executor.image.digest import Digest
from executor.store import Store
from integration.cache.test_warmer_and_store import Place, place
from integration.support.flatten import Tree, flatten
from integration.support.images import read_layout
from integration.support.leftovers import descendants

__all__ = ["place"]

pytestmark = [pytest.mark.parametrize("executor", ["overlay", "chroot"], indirect=True), pytest.mark.timeout(400)]
ROUNDS = 10  # with each driver
_STEPS = """\
RUN ["busybox", "sh", "-c", "for n in $(busybox seq 300); do echo $n > /$n; done"]
COPY --from={host}/other /other /copied
RUN ["busybox", "sh", "-c", "busybox rm /1*; busybox sleep 0.2"]
"""


def contexts(place: Place) -> list[str]:
    """Three contexts, of which two begin alike."""
    names = []
    for name, last in (("base", "one"), ("base", "two"), ("base", "three")):
        context = place.folder / last
        context.mkdir()
        steps = _STEPS.format(host=place.host) if last != "three" else ""
        text = f'FROM {place.host}/{name}\n{steps}RUN ["busybox", "touch", "/{last}"]\n'
        (context / "Dockerfile").write_text(text)
        names.append(last)
    return names


def tree_of(layout: Path) -> Tree:
    """What is in an image, but for the times of this build."""
    tree = flatten(read_layout(layout))
    for entry in tree.values():
        entry.mtime = 0
    return tree


def is_consistent(home: Path) -> None:
    """Blobs are what their names say, layers are whole, nothing half made is left."""
    with Store.open(str(home)) as store:
        own = len(os.listdir(home / "work"))
        assert own == 2, f"what the dead were making is gone: {os.listdir(home / 'work')}"
        for name in os.listdir(home / "blobs" / "sha256"):
            assert store.blobs.is_sound(Digest.from_hex(name)), name
        for path in (home / "unpacked").iterdir():
            if path.is_dir():
                os.utime(f"{path}.seal", (1, 1))  # so that it is compared
                assert store.unpacked.get(path.name), path


def test_others_do_not_notice(place: Place) -> None:
    names, chance = contexts(place), random.Random(place.executor.driver)
    home = place.folder / "home"
    expected = {}
    for name in names:
        place.done(place.argv(name, f"expected-{name}"), "alone")
        expected[name] = tree_of(place.folder / f"expected-{name}")
    for turn in range(ROUNDS):
        chosen = [chance.choice(names) for _ in range(3)]
        builds = [place.start(place.argv(name, f"{turn}-{at}")) for at, name in enumerate(chosen)]
        victim = builds[0]
        pruning = place.start(place.krunner("prune", *chance.choice([["--all"], ["--keep-storage=1MB"], []])))
        time.sleep(chance.random() * 2)
        victim.send_signal(signal.SIGKILL)
        if turn % 4 == 3:
            pruning.send_signal(signal.SIGKILL)
        for process in (victim, pruning, *builds[1:]):
            _, errors = process.communicate(timeout=100)
            assert process.returncode == 0 or process in (victim, pruning), errors
        for at, name in enumerate(chosen[1:], start=1):
            assert tree_of(place.folder / f"{turn}-{at}") == expected[name]
            shutil.rmtree(place.folder / f"{turn}-{at}")
        is_consistent(home)
    for name in names:
        place.done(place.argv(name, f"after-{name}"))
        assert tree_of(place.folder / f"after-{name}") == expected[name]
    freed = place.done(place.krunner("prune", "--all"))
    assert "0 B left" in freed, freed


def test_a_list_whose_workers_are_killed_leaves_a_store_for_the_next(place: Place) -> None:
    names, chance = contexts(place), random.Random(place.executor.driver)
    home = place.folder / "home"
    builds = [  # with a destination, since images without a name stay beside each other in a layout
        {"name": name, "context": name, "oci_layout": f"list-{name}", "destinations": [f"{place.host}/{name}"]}
        for name in names
    ]
    defaults = {"insecure": True, "no_push": True, "rootfs": place.executor.driver}
    (place.folder / "builds.yaml").write_text(json.dumps({"version": 1, "defaults": defaults, "builds": builds}))
    words = place.krunner(f"{place.folder}/builds.yaml", "--jobs=3", "--report-dir=")
    for _ in range(5):
        session = subprocess.Popen(
            words,
            env={**os.environ, "KRUNNER_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(0.5 + chance.random() * 2.5)
        workers = descendants(session.pid)  # they have sessions of their own
        os.killpg(session.pid, signal.SIGKILL)
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        session.wait()
    place.done(words)
    for name in names:
        place.done(place.argv(name, f"alone-{name}"), "alone")
        assert tree_of(place.folder / f"list-{name}") == tree_of(place.folder / f"alone-{name}")
    is_consistent(home)
