"""Single files out of the layers of an image: the topmost that has one decides, and doubt means no."""

import io
import tarfile
from pathlib import Path

import pytest

from executor.build.pickedfiles import files_of
from executor.dockerfile.parser import parse
from executor.errors import ImageError
from executor.rootfs.pick import UncertainError, pick_files

LINK, HARD, DIR = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE)


def tar(*members):
    """A layer: names of files, which are their content, or (name, type, link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            name, kind, link = (member, tarfile.REGTYPE, "") if isinstance(member, str) else member
            info = tarfile.TarInfo(name.partition("=")[0])
            info.type, info.linkname, info.mode = kind, link, 0o754
            content = name.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Layers:
    def __init__(self, *tars):
        self.tars, self.read = tars, []

    def openers(self):
        return [lambda number=number: self._open(number) for number in range(len(self.tars))]

    def _open(self, number):
        self.read.append(number)
        return io.BytesIO(self.tars[number])


def pick(layers, tmp_path, *wanted):
    pick_files(layers.openers(), wanted, str(tmp_path), squash=True)
    return {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}


def test_the_topmost_layer_that_has_a_file_decides(tmp_path):
    layers = Layers(tar("bin/a=old", "below"), tar("c"), tar("bin/a=new", "other"))
    assert pick(layers, tmp_path, "bin/a") == {"bin/a": "bin/a=new"}
    assert layers.read == [2]
    assert Path(tmp_path, "bin/a").stat().st_mode & 0o777 == 0o754


def test_layers_are_read_until_all_is_found(tmp_path):
    layers = Layers(tar("bottom"), tar("bin/a"), tar("top/b", ("bin", DIR, "")))
    assert set(pick(layers, tmp_path, "bin/a", "top/b")) == {"bin/a", "top/b"}
    assert layers.read == [2, 1]


@pytest.mark.parametrize(
    "above",
    [
        ["bin/.wh.a"], [".wh.bin"], ["bin/.wh..wh..opq"], [("bin/a", LINK, "b")], [("bin/a", HARD, "x")],
        [("bin/a", DIR, "")], [("bin", LINK, "usr/bin")], ["bin"], ["usr/bin/a"],
        ["bin/a", ("bin/a", LINK, "b")],
    ],
)  # fmt: skip
def test_doubt(tmp_path, above):
    layers = Layers(tar("bin/a"), tar("x", *above))
    with pytest.raises(UncertainError):
        pick(layers, tmp_path, "bin/a")


def test_what_is_nowhere(tmp_path):
    layers = Layers(tar("x"), tar("y"))
    with pytest.raises(UncertainError):
        pick(layers, tmp_path, "bin/a")
    assert layers.read == [1, 0]


def test_a_damaged_layer(tmp_path):
    with pytest.raises(ImageError):
        pick(Layers(tar("bin/a"), b"x" * 700), tmp_path, "bin/a")


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ("/a /b/c /", ("a", "b/c")), ("a ../b /", ("a", "b")), ("/ /", None), ("/a/ /", None), ("/a* /", None),
        ("/a/. /", None), ("--parents /a /", None),
    ],
)  # fmt: skip
def test_which_copies_are_of_single_files(words, files):
    (stage,) = parse(f"FROM scratch\nCOPY --from=x {words}\n".encode(), "Dockerfile").stages
    assert files_of(stage.instructions[0]) == files
