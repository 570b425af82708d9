"""ADD: like COPY, and archives unpacked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from integration.support.builders import Case
from integration.support.recipes import Archive, Compression, Dir, Fifo, File, Hardlink, Node, Symlink

_CONTENT: Mapping[str, Node] = {
    "top": "top\n",
    "dir": Dir(mode=0o750, uid=3, gid=4),
    "dir/file": File(content="file\n", mode=0o4755, uid=5, gid=6),
    "dir/hard": Hardlink("dir/file"),
    "dir/soft": Symlink("file"),
    "implied/parent/file": File(content="deep\n", uid=7, gid=8, mode=0o600),
    "pipe": Fifo(),
}
_HEAD = "FROM registry.test/busybox\n"


def _add(name: str, *lines: str, context: Mapping[str, Node], equivalent: tuple[str, ...] = ()) -> Case:
    return Case(
        name=f"add-{name}",
        dockerfile=_HEAD + "\n".join(lines) + "\n",
        context=context,
        equivalent=_HEAD + "\n".join(equivalent) + "\n" if equivalent else "",
    )


_COMPRESSED = {
    f"content.tar{'.' if compression else ''}{compression}": Archive(files=_CONTENT, compression=compression)
    for compression in get_args(Compression)
}

CASES = (
    _add("file", "ADD a /x", "ADD a b /many/", "ADD --chown=app:video a /owned", context={"a": "a", "b": "b"}),
    _add("folder", "ADD d /opt/data", "ADD d/ /e/", context={"d/f": File(content="f", mode=0o600), "d/s/g": "g"}),
    *(
        _add(f"archive-{name.rpartition('.')[2]}", f"ADD {name} /unpacked/", context={name: archive})
        for name, archive in _COMPRESSED.items()
        if not name.endswith("zst")
    ),
    _add(
        "archive-zst",
        "ADD content.tar.zst /unpacked/",
        context=_COMPRESSED,
        equivalent=("ADD content.tar.gz /unpacked/",),
    ),
    _add(
        "archive-of-any-name",
        "ADD image.bin /unpacked",
        context={"image.bin": Archive(files=_CONTENT, compression="gz")},
    ),
    _add(
        "archive-onto-existing",
        "ADD t.tar /opt/",
        "ADD t.tar /",
        context={
            "t.tar": Archive(
                files={"data": Dir(mode=0o700, uid=1, gid=2), "data/old": "newer\n", "data/more": "more\n"}
            )
        },
    ),
    _add("archive-through-link", "ADD t.tar /opt/", context={"t.tar": Archive(files={"link/inside": "inside\n"})}),
    _add(
        "archive-replaces-link",
        "ADD t.tar /opt/",
        context={"t.tar": Archive(files={"link": Dir(), "link/x": "x\n"})},
    ),
    _add(
        "archive-in-workdir",
        "WORKDIR /w",
        "ADD t.tar .",
        "ADD t.tar sub",
        context={"t.tar": Archive(files={"a": "a"})},
    ),
    _add("archive-with-chown", "ADD --chown=12:34 t.tar /o/", context={"t.tar": Archive(files=_CONTENT)}),
    _add(
        "archives-by-wildcard",
        "ADD *.tar plain /all/",
        context={
            "one.tar": Archive(files={"one": "1\n"}),
            "two.tar": Archive(files={"two": "2\n"}),
            "plain": "p\n",
        },
    ),
    _add(
        "archive-with-dot-names",
        "ADD t.tar /d/",
        context={"t.tar": Archive(files={"./": Dir(mode=0o700), "./a": "a\n", "./b/": Dir(), "./b/c": "c\n"})},
    ),
    _add(
        "archive-with-xattr",
        "ADD t.tar /x/",
        context={
            "t.tar": Archive(
                files={
                    "p": File(content="p", xattrs={"security.capability": bytes.fromhex("0100000202" + "00" * 15)})
                }
            )
        },
    ),
    _add(
        "archive-with-whiteout-names",
        "ADD t.tar /opt/data/",
        context={"t.tar": Archive(files={"a": "a\n", "b/.wh.c": ""})},
    ),
    _add(
        "compressed-file-is-no-archive",
        "ADD note.gz /n/",
        context={
            "note.gz": File(
                content=b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00"
            )
        },
    ),
    _add("name-of-archive-alone", "ADD fake.tar.gz /n/", context={"fake.tar.gz": "no archive\n"}),
    _add("archive-inside-folder-stays", "ADD d /d/", context={"d/t.tar": Archive(files={"a": "a"})}),
    _add(
        "archive-by-copy-stays", "COPY t.tar /c/", context={"t.tar": Archive(files={"a": "a"}, compression="xz")}
    ),
    _add(
        "archive-with-long-names",
        "ADD t.tar /l/",
        context={
            "t.tar": Archive(
                files={"n" * 120 + "/" + "m" * 150: "deep\n", "l": Symlink("n" * 120 + "/" + "m" * 150)}
            )
        },
    ),
    _add("url", "ADD http://files.test/plain.txt /d/", "ADD http://files.test/plain.txt /renamed", context={}),
    _add("url-of-archive-stays", "ADD http://files.test/archive.tar /d/", context={}),
    _add("url-with-chown", "ADD --chown=app:video http://files.test/plain.txt /d/", context={}),
    _add("url-with-chmod", "ADD --chmod=755 http://files.test/plain.txt /d/", context={}),
    _add("url-beside-file", "ADD http://files.test/plain.txt a /d/", context={"a": "a"}),
)
