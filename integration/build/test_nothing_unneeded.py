"""Nothing done that nobody needs: what a registry is asked for, what is unpacked, and what becomes a layer."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.support.builders import Executor
from integration.support.compare import compare_trees
from integration.support.flatten import flatten
from integration.support.images import StoredImage, read_layout
from tests.support.fake_registry import FakeRegistry

pytestmark = pytest.mark.parametrize("executor", ["overlay"], indirect=True)


class Counted:
    """Builds against a registry that keeps account, each time with a new store; `base` and `other` are there."""

    def __init__(self, executor: Executor, registry: FakeRegistry, folder: Path) -> None:
        self.executor, self.registry, self.folder = executor, registry, folder
        self.log: list[dict[str, Any]] = []
        self._count = 0

    def __call__(self, dockerfile: str, *flags: str | Path, keep: bool = False) -> StoredImage:
        self._count += 1
        context, layout = self.folder / f"context-{self._count}", self.folder / f"layout-{self._count}"
        context.mkdir()
        (context / "Dockerfile").write_text(dockerfile.replace("registry.test", self.registry.host))
        home = self.folder / ("home" if keep else f"home-{self._count}")
        argv = self.executor.argv(f"--context={context}", "--log-format=json", *flags)
        if not any(str(flag).startswith("--destination") for flag in flags):
            argv = [*argv, "--no-push", f"--oci-layout-path={layout}"]
        self.registry.requests.clear()
        environment = {**os.environ, "KRUNNER_HOME": str(home)}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        self.log = [json.loads(line) for line in done.stderr.splitlines()]
        return read_layout(layout) if layout.exists() else StoredImage(config={}, layers=(), manifest={})

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.log if event["type"] == kind]

    def layers_of(self, repository: str) -> set[str]:
        manifest = json.loads(self.registry.manifests[repository]["latest"][1])
        return {layer["digest"] for layer in manifest["layers"]}

    def downloaded(self) -> set[str]:
        """The blobs that were fetched."""
        return {seen.path.rpartition("/")[2] for seen in self.registry.seen("GET", "/blobs/")}

    def sent(self) -> int:
        """How many blobs were sent."""
        return len([seen for seen in self.registry.seen("PUT", "/blobs/uploads/") if seen.size])

    def unpacked(self) -> set[str]:
        """The files of images that the last build has written to its store."""
        trees = (self.folder / f"home-{self._count}" / "unpacked").glob("*/fs")
        return {str(file.relative_to(tree)) for tree in trees for file in tree.rglob("*") if not file.is_dir()}

    def asked(self, repository: str) -> bool:
        return any(f"/v2/{repository}/" in seen.path for seen in self.registry.requests)


def layer(*files: str, link: str = "") -> bytes:
    """A layer whose files are programs that print their names; a name with a slash at its end is a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in files:
            if name.endswith("/"):
                directory = tarfile.TarInfo(name)
                directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(directory)
                continue
            content = Path("/bin/busybox").read_bytes() if name == "bin/busybox" else name.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/bin/busybox"
            tar.addfile(member)
    return buffer.getvalue()


def put_image(registry: FakeRegistry, repository: str, *layers: bytes) -> None:
    diff_ids = ["sha256:" + hashlib.sha256(gzip.decompress(blob)).hexdigest() for blob in layers]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    content = json.dumps({**config, "config": {}}).encode()
    blobs = [("application/vnd.oci.image.config.v1+json", content)]
    blobs += [("application/vnd.oci.image.layer.v1.tar+gzip", blob) for blob in layers]
    described = [
        {"mediaType": kind, "digest": registry.add_blob(repository, blob), "size": len(blob)}
        for kind, blob in blobs
    ]
    kind = "application/vnd.oci.image.manifest.v1+json"
    document = {"schemaVersion": 2, "mediaType": kind, "config": described[0], "layers": described[1:]}
    registry.add_manifest(repository, "latest", kind, json.dumps(document).encode())


@pytest.fixture
def built(executor: Executor, work: Path, base_host: str) -> Iterator[Counted]:
    folder = work / f"counted-{len(list(work.iterdir()))}"
    folder.mkdir()
    with FakeRegistry() as registry:
        put_image(registry, "base", layer("bin/busybox", link="bin/sh"), layer("data"))
        put_image(registry, "tools", layer("old", "shared"), layer("lib/deep"), layer("tool", "shared"))
        yield Counted(executor, registry, folder)


def test_a_build_of_metadata_alone_reads_no_layer(built: Counted) -> None:
    built(
        'FROM registry.test/base\nLABEL a=b\nCMD ["x"]\nENV A=1\nEXPOSE 80\n',
        f"--destination={built.registry.host}/new",
    )
    assert not built.downloaded() & built.layers_of("base")
    assert built.events("DriverChosen") == []
    assert built.sent() == 1, "the configuration: layers are mounted"
    assert {seen.query["from"] for seen in built.registry.seen("POST") if "from" in seen.query} == {"base"}


def test_layers_that_are_there_are_not_sent_again(built: Counted) -> None:
    text = 'FROM registry.test/base\nRUN ["busybox", "touch", "/made"]\n'
    name = f"--destination={built.registry.host}/new"
    built(text.replace("/made", "/first"), name, keep=True)
    assert built.sent() == 2, "its layer and its configuration"
    built("FROM registry.test/new\nLABEL a=b\n", name, keep=True)
    assert built.sent() == 1
    assert not built.downloaded() & built.layers_of("base")
    built.registry.mounts = False
    built("FROM registry.test/base\nLABEL c=d\n", name, keep=True)
    assert built.sent() == 1, "found by asking"


def test_a_layer_is_sent_once_to_the_registry_of_image_and_cache(built: Counted) -> None:
    text = 'FROM registry.test/base\nRUN ["busybox", "touch", "/made"]\nRUN ["busybox", "touch", "/more"]\n'
    built(text, "--cache", f"--cache-repo={built.registry.host}/cache", f"--destination={built.registry.host}/new")
    assert len(built.registry.manifests["cache"]) == 4, "two entries, each by key and by digest"
    assert built.sent() == 2 + 3, "two layers, and the configurations of the image and of two entries"


def test_a_replay_reads_no_layer_and_opens_no_file_system(built: Counted) -> None:
    flags = ("--cache", "--cache-copy-layers", f"--cache-repo={built.registry.host}/cache")
    text = (
        'FROM registry.test/base AS build\nRUN ["busybox", "touch", "/made"]\n'
        "FROM registry.test/base\nCOPY --from=build /made /\nCOPY --from=registry.test/tools /tool /\n"
    )
    built(text, *flags, f"--destination={built.registry.host}/one")
    built(text, *flags, f"--destination={built.registry.host}/two")
    assert all(event["hit"] for event in built.events("CacheLookedUp"))
    layers = built.layers_of("base") | built.layers_of("tools") | built.layers_of("two")
    assert not built.downloaded() & layers
    assert built.events("DriverChosen") == []
    assert built.sent() == 1


def test_a_cached_stage_is_not_unpacked_for_what_does_not_read_it(built: Counted) -> None:
    flags = ("--cache", "--cache-copy-layers", f"--cache-repo={built.registry.host}/cache", "--no-push")
    text = (
        "FROM registry.test/tools AS build\nWORKDIR /made\nFROM registry.test/base\n"
        'COPY --from=build /made /made\nRUN ["busybox", "true"]\n'
    )
    built(text, *flags)
    built(text.replace("true", "sync"), *flags)
    assert [event["hit"] for event in built.events("CacheLookedUp")] == [True, True, False]
    assert not built.downloaded() & built.layers_of("tools")
    assert built.layers_of("base") <= built.downloaded()


def test_stages_that_the_target_does_not_need_are_not_asked_for(built: Counted) -> None:
    built("FROM registry.test/tools AS unused\nRUN false\nFROM registry.test/base\nLABEL a=b\n")
    assert not built.asked("tools")
    assert built.asked("base")


def test_stages_that_no_image_has_make_no_layers(built: Counted) -> None:
    text = (
        'FROM registry.test/base AS one\nRUN ["busybox", "touch", "/one"]\nRUN ["busybox", "touch", "/two"]\n'
        'FROM one AS two\nRUN ["busybox", "rm", "/one"]\nRUN ["busybox", "touch", "/three"]\n'
        'FROM one AS three\nRUN ["busybox", "mv", "/one", "/four"]\n'
        "FROM registry.test/base\nCOPY --from=two / /two\nCOPY --from=three / /three\n"
        'RUN ["busybox", "touch", "/x"]\n'
    )
    image = built(text)
    assert len(built.events("LayerWritten")) == 3
    assert {event["stage"] for event in built.events("LayerWritten")} == {3}
    tree = flatten(image)
    assert {"/two/two", "/two/three", "/three/two", "/three/four", "/x"} <= set(tree)
    assert not {"/two/one", "/three/one"} & set(tree)


def test_a_copied_file_needs_the_layers_above_it_alone(built: Counted) -> None:
    image = built("FROM scratch\nCOPY --from=registry.test/tools /tool /shared /\n")
    tops = json.loads(built.registry.manifests["tools"]["latest"][1])["layers"]
    assert built.downloaded() & built.layers_of("tools") == {tops[2]["digest"]}
    assert set(flatten(image)) >= {"/tool", "/shared"}
    image = built("FROM scratch\nCOPY --from=registry.test/tools /lib/deep /tool /\n")
    assert built.downloaded() & built.layers_of("tools") == {tops[1]["digest"], tops[2]["digest"]}
    image = built("FROM scratch\nCOPY --from=registry.test/tools / /\n")
    assert built.downloaded() >= built.layers_of("tools")
    assert set(flatten(image)) >= {"/tool", "/lib/deep", "/old"}


def test_of_a_copied_directory_only_what_is_in_it_is_unpacked(built: Counted) -> None:
    put_image(
        built.registry,
        "app",
        layer("srv/", "srv/old", "other"),
        layer("srv/", "srv/.wh..wh..opq", "srv/new", "some"),
        layer("top"),
    )
    image = built("FROM scratch\nCOPY --from=registry.test/app /srv /srv\n")
    assert {path for path, entry in flatten(image).items() if entry.kind == "file"} == {"/srv/new"}
    assert built.unpacked() == {"srv/new"}
    lowest, *others = json.loads(built.registry.manifests["app"]["latest"][1])["layers"]
    assert built.downloaded() & built.layers_of("app") == {other["digest"] for other in others}
    assert lowest["digest"] not in built.downloaded(), "the directory is emptied above it"
    image = built("FROM scratch\nCOPY --from=registry.test/tools /l*/d* /sha* /\n")
    assert set(flatten(image)) >= {"/deep", "/shared"}
    assert built.unpacked() == {"lib/deep", "shared", "deep"}, "and the copy, as a layer"


def test_a_base_is_not_downloaded_for_what_is_linked_upon_it(built: Counted) -> None:
    text = (
        "FROM registry.test/base\nCOPY --link --chown=3:4 --from=registry.test/tools /lib /data/lib\n"
        "ENV A=1\nCOPY --link <<hosts /etc/\nnobody\nhosts\n"
    )
    built(text, f"--destination={built.registry.host}/new")
    assert not built.downloaded() & built.layers_of("base")
    assert built.layers_of("base") < built.layers_of("new")
    apart = built(text, "--no-push")
    together = built(f"{text}WORKDIR /etc\n")
    assert built.downloaded() >= built.layers_of("base"), "only the base can tell whether it has the directory"
    assert [str(one) for one in compare_trees(flatten(apart), flatten(together))] == []
    assert {"/data", "/data/lib/deep", "/bin/busybox", "/etc/hosts"} <= set(flatten(apart))


def test_an_image_that_is_unpacked_already_is_copied_from_as_it_is(built: Counted) -> None:
    built('FROM registry.test/base\nRUN ["busybox", "touch", "/made"]\n', keep=True)
    image = built("FROM scratch\nCOPY --from=registry.test/base /bin /bin\n", keep=True)
    assert set(flatten(image)) >= {"/bin/busybox", "/bin/sh"}
    assert not built.downloaded() & built.layers_of("base")
    assert built.events("LayerUnpacked") == [], "none was read again"


_COUNTING = """
from executor.rootfs.chroot.driver import ChrootRoot
looked = ChrootRoot.changes
def changes(self):
    open(COUNTS, "a").write("x")
    return looked(self)
ChrootRoot.changes = changes
from executor.cli import main
main()
"""


@pytest.mark.parametrize(
    ("flags", "count"), [((), 2), (("--single-snapshot",), 1), (("--cache", "--cache-repo=dir:{folder}/cache"), 4)]
)
def test_a_root_is_searched_for_changes_only_where_a_layer_is_made(
    built: Counted, flags: tuple[str, ...], count: int
) -> None:
    """Scans see every file. The two steps of the first stage make no layer unless the cache wants one."""
    context, counts = built.folder / "scanned", built.folder / "counts"
    context.mkdir()
    run = 'RUN ["busybox", "touch", "/{}"]\n'
    (context / "Dockerfile").write_text(
        f"FROM {built.registry.host}/base AS one\n{run.format('a')}{run.format('b')}"
        f"FROM {built.registry.host}/base\n{run.format('c')}LABEL a=b\nENV c=d\nCOPY --from=one /a /b /from/\n"
    )
    script = _COUNTING.replace("COUNTS", repr(str(counts)))
    words = [flag.format(folder=built.folder) for flag in flags]
    argv = built.executor.argv(f"--context={context}", "--no-push", "--rootfs=chroot", *words)[1:]
    environment = {**os.environ, "KRUNNER_HOME": f"{built.folder}/home"}
    subprocess.run([sys.executable, "-c", script, *argv], env=environment, check=True, timeout=100)
    assert len(counts.read_text()) == count


_EXPECTING = """
from executor.rootfs.chroot.driver import ChrootDriver
ChrootDriver.expect_commands = lambda self: open(COUNTS, "w").close()
from executor.cli import main
main()
"""


def test_commands_are_expected_only_where_one_will_run(built: Counted) -> None:
    """In place that copies all files of the container."""
    context, expected = built.folder / "expecting", built.folder / "expected"
    context.mkdir()
    script = _EXPECTING.replace("COUNTS", repr(str(expected)))
    cache = f"--cache-repo=dir:{built.folder}/cache"
    argv = built.executor.argv(f"--context={context}", "--no-push", "--rootfs=chroot", "--cache", cache)[1:]
    environment = {**os.environ, "KRUNNER_HOME": f"{built.folder}/home"}
    found = []
    for step in ("COPY Dockerfile /", *['RUN ["busybox", "touch", "/made"]'] * 2):
        (context / "Dockerfile").write_text(f"FROM {built.registry.host}/base\n{step}\n")
        subprocess.run([sys.executable, "-c", script, *argv], env=environment, check=True, timeout=100)
        found.append(expected.exists())
        expected.unlink(missing_ok=True)
    assert found == [False, True, False], "the last has it from the cache"
