"""The oracle: what tree an image's layers add up to, by the rules of the OCI image specification (layer.md).

Written for clearness, not speed, and without a line of krunner's own: dictionaries of paths, one layer at a time.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from integration.support.images import StoredImage

_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
_OPAQUE = ".wh..wh..opq"
_XATTR = "SCHILY.xattr."


@dataclass(slots=True, kw_only=True)
class Entry:
    """One inode. `mode` holds the 12 permission bits; `xattrs` maps names to hexadecimal values."""

    kind: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int = 0
    sha256: str = ""
    link: str = ""
    device: tuple[int, int] = (0, 0)
    mtime: int = 0
    xattrs: dict[str, str] = field(default_factory=dict)


Tree = dict[str, Entry]


def flatten(image: StoredImage) -> Tree:
    """Absolute path → entry, without `/`. Names of one inode (hard links) map to the very same Entry."""
    tree: Tree = {}
    for number in range(len(image.layers)):
        with image.open_layer(number) as archive:
            _apply(tree, archive)
    return tree


def link_groups(tree: Mapping[str, Entry]) -> dict[str, tuple[str, ...]]:
    """For each path of an inode with several names: all the names, sorted."""
    names: dict[int, list[str]] = {}
    for path, entry in tree.items():
        names.setdefault(id(entry), []).append(path)
    return {path: tuple(sorted(group)) for group in names.values() if len(group) > 1 for path in group}


def _apply(tree: Tree, archive: tarfile.TarFile) -> None:
    members = [(_path(member.name), member) for member in archive]
    for path, _ in members:  # whiteouts concern the layers below only, wherever they stand in the archive
        _white_out(tree, path)
    for path, member in members:
        parent, _, name = path.rpartition("/")
        if name and not name.startswith(".wh."):
            _add_parents(tree, parent)
            _add(tree, path, member, archive)


def _path(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    assert ".." not in parts, f"a layer names {name}"
    return "/" + "/".join(parts)


def _white_out(tree: Tree, path: str) -> None:
    parent, _, name = path.rpartition("/")
    if name == _OPAQUE:
        _remove(tree, parent, itself=False)
    elif name.startswith(".wh."):
        _remove(tree, f"{parent}/{name.removeprefix('.wh.')}", itself=True)


def _remove(tree: Tree, path: str, *, itself: bool) -> None:
    for other in [other for other in tree if other.startswith(path + "/") or (itself and other == path)]:
        del tree[other]


def _add_parents(tree: Tree, path: str) -> None:
    if path and path not in tree:
        _add_parents(tree, path.rpartition("/")[0])
        tree[path] = Entry(kind="dir")
    assert not path or tree[path].kind == "dir", f"a layer writes below {path}, which is a {tree[path].kind}"


def _add(tree: Tree, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
    if member.islnk():
        tree[path] = tree[_path(member.linkname)]
        return
    entry = _entry(member, archive)
    if entry.kind != "dir" and path in tree and tree[path].kind == "dir":
        _remove(tree, path, itself=True)
    tree[path] = entry


def _entry(member: tarfile.TarInfo, archive: tarfile.TarFile) -> Entry:
    content = archive.extractfile(member) if member.isreg() else None
    data = content.read() if content else b""
    return Entry(
        kind=_KINDS[member.type],
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest() if member.isreg() else "",
        link=member.linkname if member.issym() else "",
        device=(member.devmajor, member.devminor) if member.isdev() and not member.isfifo() else (0, 0),
        mtime=int(member.mtime),
        xattrs={
            name.removeprefix(_XATTR): value.encode("utf-8", "surrogateescape").hex()
            for name, value in sorted(member.pax_headers.items())
            if name.startswith(_XATTR)
        },
    )


def tree_to_json(tree: Tree) -> list[Any]:
    """The tree as JSON values: one [paths of the inode, its fields] a row."""
    groups = link_groups(tree)
    rows = {groups.get(path, (path,)): asdict(entry) for path, entry in tree.items()}
    return [[list(paths), fields] for paths, fields in sorted(rows.items())]


def tree_from_json(rows: list[Any]) -> Tree:
    """The inverse of `tree_to_json`."""
    tree: Tree = {}
    for paths, fields in rows:
        entry = Entry(**{**fields, "device": tuple(fields["device"])})
        tree.update(dict.fromkeys(paths, entry))
    return tree
