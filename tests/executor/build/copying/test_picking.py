"""Files out of the layers of an image: as if it were unpacked, but less is read, and doubt means no."""

import io
import os
import shutil
import stat
import tarfile

import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from executor.build.copying.copy import CopyRequest, copy_from_root
from executor.build.copying.picking import UncertainError, pick
from executor.build.copying.wantedpaths import Selection, Wanted, led_to, wanted_of
from executor.dockerfile.parser import parse
from executor.errors import Error, ImageError
from executor.rootfs.files.unpack import apply_layer

LINK, HARD, DIR = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE)
SQUASH = os.geteuid() != 0


def tar(*members):
    """A layer: names of files, which are their content, of directories with a slash, or (name, type, link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, member in enumerate(members):
            name, kind, link = (member, tarfile.REGTYPE, "") if isinstance(member, str) else member
            kind = DIR if name.endswith("/") else kind
            info = tarfile.TarInfo(name.partition("=")[0].rstrip("/"))
            info.type, info.linkname, info.mode = kind, link, 0o754
            info.mtime = 1_000_000 + number + len(name) / 64
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


def copy_step(words):
    (stage,) = parse(f"FROM scratch\nCOPY --from=x {words} /\n".encode(), "Dockerfile").stages
    return stage.instructions[0]


def picked(layers, tmp_path, *words):
    """The files that are brought along for a COPY, with their contents."""
    tree, scratch = tmp_path / "tree", tmp_path / "scratch"
    for folder in (tree, scratch):
        folder.mkdir(parents=True)
    wanted = wanted_of(copy_step(" ".join(words)), len(layers.tars) - 1)
    pick(layers.openers(), wanted, str(tree), scratch=str(scratch), squash=True)
    assert list(scratch.iterdir()) == []
    return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}


def test_the_topmost_layer_that_has_a_file_decides(tmp_path):
    layers = Layers(tar("bin/a=old", "below"), tar("c"), tar("bin/a=new", "other"))
    assert picked(layers, tmp_path, "bin/a") == {"bin/a": "bin/a=new"}
    assert layers.read == [2]
    assert (tmp_path / "tree/bin/a").stat().st_mode & 0o777 == 0o754


def test_layers_are_read_until_all_is_found(tmp_path):
    layers = Layers(tar("bottom"), tar("bin/a"), tar("top/b", "bin/"))
    assert set(picked(layers, tmp_path, "bin/a", "top/b")) == {"bin/a", "top/b"}
    assert layers.read == [2, 1]


def test_of_a_directory_nothing_else_is_brought(tmp_path):
    layers = Layers(
        tar("usr/", "usr/share/", "usr/share/doc", "usr/lib/", "usr/lib/a", "usr/lib/b", "etc/c"),
        tar("usr/", "usr/lib/", "usr/lib/.wh.a", "usr/lib/d", "usr/lib64"),
        tar("x"),
    )
    assert set(picked(layers, tmp_path, "/usr/lib")) == {"usr/lib/b", "usr/lib/d"}
    assert sorted(layers.read) == [0, 1, 2]


def test_wildcards_bring_what_they_match(tmp_path):
    layers = Layers(
        tar("etc/", "etc/a.conf", "etc/x/y.conf", "d.conf"), tar("etc/", "etc/c.conf", "etc/.wh.a.conf")
    )
    assert set(picked(layers, tmp_path / "one", "/etc/*.conf")) == {"etc/c.conf"}
    assert set(picked(layers, tmp_path / "two", "/e*/[xy]/*")) == {"etc/x/y.conf"}
    assert set(picked(layers, tmp_path / "three", "/*.conf")) == {"d.conf"}


@pytest.mark.parametrize("words", ["/app", "/app/", "/app/*", "/app/x", "--parents /./app/x"])
def test_nothing_below_an_opaque_directory_is_read(tmp_path, words):
    layers = Layers(tar("app/", "app/old"), tar("app/", "app/.wh..wh..opq", "app/x"), tar("y"))
    assert set(picked(layers, tmp_path, words)) == {"app/x"}
    assert layers.read == [2, 1]


def test_an_opaque_directory_that_the_layer_does_not_describe_ends_nothing(tmp_path):
    """A layer below may have a link in its place."""
    layers = Layers(tar("lib/", ("app", LINK, "lib"), "lib/b"), tar("app/.wh..wh..opq", "app/x"))
    with pytest.raises(UncertainError):
        picked(layers, tmp_path, "/app")


def test_links_on_the_way_and_at_the_end_are_followed(tmp_path):
    layers = Layers(
        tar("usr/lib/", "usr/lib/so.1", "usr/lib/other", "usr/other", ("lib", LINK, "usr/lib")),
        tar(("usr/lib/so", LINK, "so.1"), ("usr/current", LINK, "../usr/lib")),
    )
    assert set(picked(layers, tmp_path / "one", "/lib/so")) == {"usr/lib/so", "usr/lib/so.1"}
    found = picked(layers, tmp_path / "two", "/usr/current")
    assert set(found) >= {"usr/lib/so.1", "usr/lib/other"}
    assert "usr/other" not in found
    assert len(layers.read) == 8, "all of them once more when it is known where they lead"


def test_hard_links_bring_what_they_are_linked_to(tmp_path):
    layers = Layers(tar("bin/git=1", ("lib/git-add", HARD, "bin/git"), "bin/x"), tar("bin/git=2"))
    assert picked(layers, tmp_path, "/lib")["lib/git-add"] == "bin/git=1"


@pytest.mark.parametrize(
    "above",
    [[("lib", LINK, "usr/lib"), "lib/a"], [("lib", LINK, "x/../usr/lib")], [("lib", LINK, "/")], [".wh.usr"]],
)
def test_doubt(tmp_path, above):
    layers = Layers(tar("usr/lib/", "usr/lib/a", "usr/other"), tar(*above))
    with pytest.raises(UncertainError):
        picked(layers, tmp_path, "/usr/lib" if above == [".wh.usr"] else "/lib/a")


def test_links_in_circles_end(tmp_path):
    layers = Layers(tar(("a", LINK, "b/c"), ("b", LINK, "a/d")))
    with pytest.raises(UncertainError):
        picked(layers, tmp_path, "/a/x")


def test_what_is_nowhere(tmp_path):
    layers = Layers(tar("x"), tar("y"))
    assert picked(layers, tmp_path, "bin/a") == {}
    assert layers.read == [1, 0]


def test_a_damaged_layer(tmp_path):
    for words in ("/bin/a", "/bin/*"):
        with pytest.raises(ImageError):
            picked(Layers(tar("bin/a"), b"x" * 700, tar("bin/")), tmp_path / words.strip("/*"), words)


def test_more_than_a_part_of_an_image_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("executor.build.copying.picking._MOST_ENTRIES", 3)
    with pytest.raises(UncertainError):
        picked(Layers(tar(*"abcd")), tmp_path, "/*")


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ("/a /b/c", ["a", "b/c"]), ("a ../b", ["a", "b"]), ("/", None), ("/a/ b/.", ["a", "b"]),
        ("/a* x/*/b?", ["a*", "x/*/b?"]), ("/a/./b", ["a/b"]), ("/a /", None), ("/[", None), ("/a/[]x", None),
        ("--parents /a", ["a"]), ("--parents /a/./b/*/c d", ["a/b", "d"]), ("--parents /*/./b", ["*"]),
        ("--parents /**/b", None), ("--parents ./", None), ("--parents /a/./!b/c", ["a"]),
    ],
)  # fmt: skip
def test_what_a_copy_wants(words, paths):
    wanted = wanted_of(copy_step(words), 0)
    assert (wanted and ["/".join(each.parts) for each in wanted]) == (paths and [*paths])


def wanting(path, literal):
    return Wanted(parts=tuple(path.split("/")), literal=literal, stem=literal, since=0)


def test_which_names_are_touched():
    selection = Selection([wanting("a/b", 2), wanting("c/d/*.x/y", 2)])
    for name in ("", "a", "a/b", "a/b/c/d", "c", "c/d", "c/d/1.x", "c/d/1.x/y", "c/d/1.x/y/z"):
        assert selection.touches(name), name
    for name in ("b", "a/bc", "a/c", "c/x", "c/d/1.z", "c/d/1.x/z", "ab"):
        assert not selection.touches(name), name
    for name in ("", "a", "c", "c/d", "c/d/1.x"):
        assert selection.leads_to(name), name
    for name in ("a/b", "c/d/1.x/y", "a/b/c", "c/d/1.z"):
        assert not selection.leads_to(name), name


@pytest.mark.parametrize(
    ("wanted", "literal", "name", "target", "result"),
    [
        ("a/b", 2, "a", "x/y", "x/y/b"), ("a/b", 2, "a/b", "c", "a/c"), ("a/b", 2, "a/b", "../c", "c"),
        ("a/b", 2, "a/b", "../../c", "c"), ("a/b", 2, "a/b/c", "d", None), ("a/b", 2, "b", "d", None),
        ("a/*", 1, "a", "/x", "x/*"), ("a/*", 1, "a/q", "z", "a/z"), ("a/*/c", 1, "a/q", "z", None),
        ("a/*.x", 1, "a/q", "z", None),
    ],
)  # fmt: skip
def test_where_links_lead(wanted, literal, name, target, result):
    found = led_to(wanting(wanted, literal), name, target)
    assert (found and "/".join(found.parts)) == result
    if found:
        assert found.literal == len(found.parts) - ("*" in result)


# As if unpacked.

NAMES = ("a", "b", "c")
SOURCES = ["/a", "/a/b", "/a/b/c", "/b/", "/c/*", "/a/*/b", "/*", "/?/a", "--parents /a/b", "--parents /a/./b/c*"]


@st.composite
def one_layer(draw):
    """Entries as any tool might write them, with the folders they are in or without."""
    members, known = [], set()
    described = draw(st.booleans())
    for _ in range(draw(st.integers(0, 5))):
        parts = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
        folders = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        if described:
            members += [f"{folder}/" for folder in folders if folder not in known]
            known.update(folders)
        name, above = "/".join(parts), "/".join(parts[:-1])
        kind = draw(st.sampled_from(["file", "file", "file", "dir", "link", "hard", "out", "opaque"]))
        other = "/".join(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)))
        files = [member.partition("=")[0] for member in members if "=" in member]
        kind = "file" if kind == "hard" and not files else kind
        target = draw(st.sampled_from([other, f"/{other}", f"../{other}", parts[0]]))
        members.append(
            {
                "file": f"{name}={draw(st.integers(0, 9))}",
                "dir": f"{name}/",
                "link": (name, LINK, target),
                "hard": (name, HARD, draw(st.sampled_from(files or [name]))),
                "out": f"{above}/.wh.{parts[-1]}".lstrip("/"),
                "opaque": f"{name}/.wh..wh..opq",
            }[kind]
        )
    return members


def outcome(source, target, words):
    """What copying makes: the error, or each path with all that can be told of it."""
    step = copy_step(words)
    target.mkdir()
    request = CopyRequest(sources=step.sources, destination="/to/", owner=(0, 0), parents=step.parents)
    try:
        copy_from_root(request, str(source), str(target), lambda: str(target))
    except Error as error:
        return type(error), error.message
    first, found = {}, {}
    for path in sorted(target.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(target))
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        group = first.setdefault(status.st_ino, name)
        times = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns  # of one that no layer names: now
        found[name] = (status.st_mode, times, content, group)
    return found


@settings(deadline=None)
@given(st.lists(one_layer(), min_size=1, max_size=4), st.lists(st.sampled_from(SOURCES), min_size=1, max_size=2))
@example([["a/b/c=1"]], ["/a/*/b"])
@example([["a/a=1"]], ["--parents /a/./b/c*"])
@example([["a/"], ["a/b=1"]], ["--parents /a/b"])
@example([["a/", ("a/b", LINK, "../c"), "c/", "c/x"]], ["/a/b"])
@example([["a/", "a/b=1", ("c", HARD, "a/b")], ["a/", "a/b=2"]], ["/c"])
@example([["a/", "a/b/", "a/b/c=1"], ["a/", "a/b/", "a/b/.wh..wh..opq"]], ["/a/b"])
def test_a_copy_is_the_one_of_the_unpacked_image(tmp_path_factory, layers, words):
    assume(all(word.startswith("--") == words[0].startswith("--") for word in words))
    text = " ".join([*(["--parents"] if words[0].startswith("--") else []), *(w.split()[-1] for w in words)])
    folder = tmp_path_factory.mktemp("picked")
    tars = Layers(*(tar(*members) for members in layers))
    for name in ("all", "some", "scratch"):
        (folder / name).mkdir()
    try:
        for archive in tars.tars:
            apply_layer(io.BytesIO(archive), str(folder / "all"), squash=True)
    except ImageError:
        assume(False)
    wanted = wanted_of(copy_step(text), len(layers) - 1)
    try:
        pick(tars.openers(), wanted or [], str(folder / "some"), scratch=str(folder / "scratch"), squash=True)
    except UncertainError:
        event("uncertain")
        return
    event("some layers" if len(set(tars.read)) < len(layers) else "all layers")
    try:
        whole, part = (outcome(folder / name, folder / f"{name}-out", text) for name in ("all", "some"))
        assert part == whole
    finally:
        shutil.rmtree(folder)
