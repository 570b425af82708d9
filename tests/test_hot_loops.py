"""What one more file, path or block costs the loops that see them all: calls the interpreter counts, not seconds.

The bounds are what the loops need today. A change that raises one slows down every build: find another way, or
raise the bound here and say why. Lower it after a change for the better. Half a call is let pass: what is done
once, such as waiting for the clock, counts a little.
"""

import gc
import hashlib
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from executor.build.copying.picking import pick
from executor.build.copying.wantedpaths import file_at
from executor.build.layers.packing import Packer
from executor.cache.content import content_digest
from executor.dockerfile.ignore import IgnoreMatcher
from executor.image.compression import decompress, gzip_compressor
from executor.image.layer import EntryType, LayerEntry
from executor.image.tar import write_layer
from executor.rootfs.files.copytree import CopyRules, copy_tree
from executor.rootfs.files.unpack import apply_layer, unpack_overlay_layer
from executor.snapshot.ignore import IgnoredPaths
from executor.snapshot.index import Index, take_index
from executor.snapshot.overlaydiff import Overlay, OverlayDiff
from executor.snapshot.scan import Baseline, ScanDiff
from executor.store import BlobStore
from executor.store.seals import disk_usage
from executor.store.usage import Usage
from tests.support.packed import members

FEW, MANY = 100, 300
BLOCK = 256 * 1024
ROOT = LayerEntry(name="", type=EntryType.DIRECTORY, mode=0o755)


def calls(work):
    """How many functions, of Python and of C, `work` calls."""
    count = 0

    def observe(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # finalizers would be counted
    sys.setprofile(observe)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def tree_of(folder, size):
    """`size` small files in one directory."""
    (folder / "d").mkdir(parents=True)
    for number in range(size):
        (folder / "d" / f"{number:05}").write_text("content\n")
    return str(folder)


def entries_of(folder, size):
    """The same as entries of a layer."""
    diff = OverlayDiff(Overlay(upper=tree_of(folder, size), lowers=[]), ROOT)
    return [(change.entry, change.content) for change in diff]


def scan(folder, size):
    root = tree_of(folder, size)
    return lambda: take_index(root, IgnoredPaths())


def compare_scans(folder, size):
    root = tree_of(folder, size)
    baseline = Baseline(index=take_index(root, IgnoredPaths()))
    return lambda: list(ScanDiff(root, baseline))


def walk_upper(folder, size):
    diff = OverlayDiff(Overlay(upper=tree_of(folder, size), lowers=[]), ROOT)
    return lambda: list(diff)


def write_tar(folder, size):
    entries = entries_of(folder, size)
    return lambda: write_layer(entries, hashlib.sha256().update)


def pack_upper(folder, size):
    """From the upper directory to the archive, as for a layer of many files."""
    diff = OverlayDiff(Overlay(upper=tree_of(folder, size), lowers=[]), ROOT)
    return lambda: write_layer(members(diff.grouped(), Packer(None)), hashlib.sha256().update)


def pack_scanned(folder, size):
    """From a tree of which all is new to the archive."""
    diff = ScanDiff(tree_of(folder, size), Baseline(index=Index()))
    return lambda: write_layer(members(diff.grouped(), Packer(None)), hashlib.sha256().update)


def _unpacking(unpack):
    def prepare(folder, size):
        folder.mkdir()
        archive, target = folder / "layer.tar", folder / "target"
        with archive.open("wb") as file:
            write_layer(entries_of(folder / "tree", size), file.write)
        target.mkdir()

        def work():
            with archive.open("rb") as stream:
                unpack(stream, str(target))

        return work

    return prepare


def copy(folder, size):
    source = tree_of(folder / "source", size)
    return lambda: copy_tree(source, str(folder / "copy"), CopyRules(owner=(os.geteuid(), os.getegid())))


def digest_of_context(folder, size):
    root = tree_of(folder, size)
    return lambda: content_digest(root)


def match_paths(_folder, size):
    """Paths in folders of ten, against an ignore file of the usual kind."""
    patterns = [
        "*.log",
        "**/node_modules",
        ".git",
        "docs/**/*.md",
        "!docs/README.md",
        "build/",
        "**/*.py[co]",
        "tmp*",
    ]
    matcher = IgnoreMatcher(patterns)
    paths = [f"src/{number // 10}/file{number}.py" for number in range(size)]
    return lambda: [matcher.ignores(path) for path in paths]


def look_for_a_copy(folder, size):
    """A layer that has none of what a COPY --from wants."""
    folder.mkdir()
    archive, tree = folder / "layer.tar", folder / "picked"
    tree.mkdir()
    with archive.open("wb") as file:
        write_layer(entries_of(folder / "tree", size), file.write)
    wanted = [file_at("usr/lib", since=0), file_at("etc/passwd", since=0)]
    return lambda: pick([lambda: archive.open("rb")], wanted, str(tree), scratch=str(folder), squash=True)


def walk_for_a_seal(folder, size):
    root = tree_of(folder, size)
    return lambda: disk_usage(root)


def _store(folder):
    folder.mkdir()
    return BlobStore(str(folder), str(folder), Usage(str(folder)))


def _blob(folder, content):
    store = _store(folder)
    (folder / "sha256").mkdir()
    return store, store.put(content)


def write_blob(folder, size):
    store, block = _store(folder), bytes(BLOCK)

    def work():
        with store.writer() as writer:
            for _ in range(size):
                writer.write(block)

    return work


def _read(stream):
    with stream:
        while stream.read(BLOCK):
            pass


def read_blob(folder, size):
    store, digest = _blob(folder, os.urandom(BLOCK) * size)
    return lambda: _read(store.open(digest))


def inflate(folder, size):
    compressor = gzip_compressor()
    content = compressor.compress(os.urandom(BLOCK) * size) + compressor.flush()
    store, digest = _blob(folder, content)
    return lambda: _read(decompress(store.open(digest)))


LOOPS = {
    "scan of a root": (scan, 2),
    "comparison of two scans": (compare_scans, 2),
    "walk of an upper directory": (walk_upper, 28),
    "layer archive": (write_tar, 28.1),
    "upper directory to archive": (pack_upper, 18.6),
    "new directory to archive": (pack_scanned, 19.7),
    "unpacking for overlay": (_unpacking(unpack_overlay_layer), 47.5),
    "unpacking onto a tree": (_unpacking(apply_layer), 49.5),
    "copy of a tree": (copy, 26.5),
    "digest of a context": (digest_of_context, 28),
    "paths against an ignore file": (match_paths, 28.5),
    "layer looked through for a copy": (look_for_a_copy, 34.5),
    "walk for a seal": (walk_for_a_seal, 8),
    "blocks of a blob that is written": (write_blob, 4),
    "blocks of a blob that is read": (read_blob, 4),
    "blocks of a layer that is inflated": (inflate, 5),
}


def calls_for_one_more(name, folder):
    prepare, _ = LOOPS[name]
    few, many = (calls(prepare(folder / str(size), size)) for size in (FEW, MANY))
    return (many - few) / (MANY - FEW)


@pytest.mark.parametrize(("name", "bound"), [(name, bound) for name, (_, bound) in LOOPS.items()])
def test_calls_for_one_more(name, bound, tmp_path):
    """In a process of its own: what other tests have imported or left would count too."""
    counted = subprocess.run(
        [sys.executable, __file__, name, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert counted.returncode == 0, counted.stderr
    assert float(counted.stdout) < bound + 0.5, f"{counted.stdout.strip()} calls where {bound} were enough"


@pytest.mark.parametrize("size", [16 << 20, 256 << 20])
def test_memory_for_a_layer_does_not_grow_with_its_files(size, tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    entry = LayerEntry(name="large", type=EntryType.FILE, mode=0o644, size=size)
    tracemalloc.start()
    try:
        write_layer([(entry, str(tmp_path / "large"))], hashlib.sha256().update)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


def tree_of_folders(folder, size):
    """`size` small files in directories of a hundred."""
    for number in range(0, size, 100):
        tree_of(folder / str(number), 100)
    return str(folder)


def bytes_for_one_more(measure, folder):
    """What `measure`, which gives bytes, finds more for one more file. What is done once is done before."""
    _, few, many = (measure(tree_of_folders(folder / str(size), size)) for size in (100, 2000, 4000))
    return (many - few) / 2000


def held_by_index(root):
    """By the index of a tree."""
    tracemalloc.start()
    try:
        index = take_index(root, IgnoredPaths())
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.listings
    return held


def peak_of_layer(root):
    """While all of a tree is new: the index, what is known to be written, and what is found at a time."""
    tracemalloc.start()
    try:
        diff = ScanDiff(root, Baseline(index=Index()))
        for _ in diff:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert diff.after
    return peak


@pytest.mark.parametrize(("measure", "bound"), [(held_by_index, 60), (peak_of_layer, 64)])
def test_memory_for_one_more_file_of_a_tree(measure, bound, tmp_path):
    """Of its name 5 bytes, of its facts 48, and a hundredth of a directory's."""
    assert bytes_for_one_more(measure, tmp_path) < bound


if __name__ == "__main__":
    print(calls_for_one_more(sys.argv[1], Path(sys.argv[2])))
