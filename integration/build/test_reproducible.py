"""Two builds have one digest, whatever the day, the home, the umask, the driver, and the times in the context."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from integration.support.builders import Executor
from integration.support.flatten import flatten
from integration.support.images import read_layout
from integration.support.recipes import make_files

EPOCH = 1_000_000_000
TEXT = """\
FROM registry.test/layered AS made
USER root
ARG SOURCE_DATE_EPOCH
RUN mkdir -p /srv/new/deep && echo "$SOURCE_DATE_EPOCH" > /srv/new/epoch && ln /srv/new/epoch /srv/new/deep/hard \\
 && ln -s epoch /srv/new/link && rm /srv/keep && touch /srv/hard
WORKDIR /made/here
COPY --chmod=u=rw,go=r . /copied/
ADD archive.tar /added/
RUN --mount=type=cache,target=/cache date > /cache/now
FROM registry.test/layered
COPY --from=made --link /srv/new /linked
COPY <<DOC /document
text
DOC
LABEL a=b
"""
FILES = {"a": "a\n", "sub/b": "b\n"}


def build(
    executor: Executor, folder: Path, number: int, *flags: str, environ: dict[str, str] | None = None
) -> Path:
    """Build in folders of its own, with times of the context and a umask that differ each time."""
    context = folder / f"context-{number}"
    make_files(context, FILES)
    (context / "Dockerfile").write_text(TEXT.replace("registry.test", executor.registry))
    subprocess.run(["tar", "--sort=name", "--mtime=@1", "-cf", "archive.tar", "a"], cwd=context, check=True)
    for path in [context, *context.rglob("*")]:
        os.utime(path, (time.time() - number * 1000, time.time() - number * 1000))
    layout = folder / f"layout-{number}"
    words = executor.argv(f"--context={context}", "--no-push", f"--oci-layout-path={layout}", *flags)
    home = {"KRUNNER_HOME": str(folder / f"home-{number}")}
    script = f'umask {(0o022, 0o077)[number % 2]:04o}; exec "$@"'
    subprocess.run(["sh", "-c", script, "sh", *words], env={**os.environ, **home, **(environ or {})}, check=True)
    return layout


def digest(layout: Path) -> str:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(entry["digest"])


def test_one_digest_on_two_days_and_machines(executors: dict[str, Executor], work: Path, tmp_path: Path) -> None:
    folder = work / tmp_path.name
    folder.mkdir()
    flags = (
        "--reproducible",
        "--annotation=org.example.a=1",
        "--label=x=y",
        f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}",
    )
    layouts = [build(executors["overlay"], folder, number, *flags) for number in (1, 2)]
    layouts.append(build(executors["chroot"], folder, 3, *flags))
    by_environment = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    layouts.append(build(executors["overlay"], folder, 4, *flags[:-1], environ=by_environment))
    assert len({digest(layout) for layout in layouts}) == 1
    image = read_layout(layouts[0])
    assert image.config["created"] == "2001-09-09T01:46:40Z"
    own = [entry for entry in image.config["history"] if entry["created_by"] != "made for the tests"]
    assert {entry["created"] for entry in own} == {"2001-09-09T01:46:40Z"}
    tree = flatten(image)
    assert tree["/linked/epoch"].size == len(f"{EPOCH}\n")
    assert max(entry.mtime for entry in tree.values()) <= EPOCH


def test_the_layers_of_the_base_stay_as_they_are(executors: dict[str, Executor], tmp_path: Path) -> None:
    layouts = {}
    for name, flags in (("plain", []), ("own", ["--reproducible"])):
        context = tmp_path / name
        make_files(context, {"Dockerfile": f"FROM {executors['overlay'].registry}/layered\nCOPY Dockerfile /\n"})
        layouts[name] = tmp_path / f"layout-{name}"
        words = [f"--context={context}", "--no-push", f"--oci-layout-path={layouts[name]}"]
        executors["overlay"].run(*words, *flags)
    plain, own = (read_layout(layout).manifest["layers"] for layout in layouts.values())
    assert [layer["digest"] for layer in plain[:-1]] == [layer["digest"] for layer in own[:-1]]
    assert plain[-1]["digest"] != own[-1]["digest"]
