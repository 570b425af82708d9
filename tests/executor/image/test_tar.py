"""The layer tar writer against its own reader, the standard library's, and malformed input."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterable
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ImageError, StepError, UnfitError
from executor.image.layer import EntryType, LayerEntry
from executor.image.tar import Content, pax_record, write_layer
from executor.image.tarread import clean_name, read_entries


def written(changes: Iterable[tuple[LayerEntry, Content] | bytes], **options: int) -> bytes:
    out = io.BytesIO()
    assert write_layer(changes, out.write, **options) == len(out.getvalue())
    return out.getvalue()


def read(data: bytes) -> list[tuple[LayerEntry, bytes]]:
    return [(entry, content.read()) for entry, content in read_entries(io.BytesIO(data))]


names = st.binary(min_size=1, max_size=130).map(
    lambda raw: raw.replace(b"\0", b"n").replace(b"/", b"s").replace(b".", b"d").decode("utf-8", "surrogateescape")
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
ids = st.one_of(st.integers(0, 70000), st.integers(0, 2**32 - 2))


@st.composite
def changes(draw: st.DrawFn) -> tuple[LayerEntry, bytes]:
    kind = draw(st.sampled_from(EntryType))
    content = draw(st.binary(max_size=1500)) if kind is EntryType.FILE else b""
    link = draw(paths) if kind in (EntryType.HARDLINK, EntryType.SYMLINK) else ""
    device = kind in (EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE)
    xattrs = draw(
        st.dictionaries(st.sampled_from(["user.a", "user.é", "security.capability"]), st.binary(max_size=300))
    )
    entry = LayerEntry(
        name=draw(paths),
        type=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(ids),
        gid=draw(ids),
        size=len(content),
        mtime_ns=draw(st.integers(-(2**32), 2**33 - 1)) * 1_000_000_000,
        link=link,
        device=(draw(st.integers(0, 4095)), draw(st.integers(0, 2**20 - 1))) if device else (0, 0),
        xattrs=xattrs,
    )
    return entry, content


@given(st.lists(changes(), max_size=5))
def test_what_is_written_is_read_again(items: list[tuple[LayerEntry, bytes]]) -> None:
    assert read(written(items)) == items


@given(st.lists(changes(), max_size=3))
def test_the_standard_library_reads_the_same(items: list[tuple[LayerEntry, bytes]]) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(items))) as archive:
        members = archive.getmembers()
        assert len(members) == len(items)
        for member, (entry, content) in zip(members, items, strict=True):
            assert member.name.encode("utf-8", "surrogateescape") == entry.name.encode("utf-8", "surrogateescape")
            assert (member.mode, member.uid, member.gid, member.size) == (
                entry.mode,
                entry.uid,
                entry.gid,
                len(content),
            )
            assert (member.uname, member.gname) == ("", "")
            if entry.link:
                assert member.linkname == entry.link


@given(st.lists(changes(), max_size=5), st.sampled_from([None, 6]))
def test_headers_of_plain_files_are_as_any_other(
    items: list[tuple[LayerEntry, bytes]], latest: int | None
) -> None:
    options = {} if latest is None else {"latest_mtime": latest}
    usual = written([*items, *items], **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("executor.image.tar.PlainHeaders.header", lambda *_: None)
        assert written([*items, *items], **options) == usual


@pytest.mark.parametrize("length", [99, 100, 101, 154, 155, 156, 157, 255, 256, 257])
@pytest.mark.parametrize("slash", [1, 50, 99, 100, 101, 155])
def test_long_names_of_plain_files_are_split_as_any_other(length: int, slash: int) -> None:
    name = ("d" * slash + "/").ljust(length, "f")[:length].removesuffix("/")
    usual = written([(entry(name), b"")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("executor.image.tar.PlainHeaders.header", lambda *_: None)
        assert written([(entry(name), b"")]) == usual


def test_members_that_are_ready_are_taken_as_they_are() -> None:
    ready = written([(entry("b", size=3), b"abc")])[:-1024]
    items = [(entry("a"), b""), (entry("b", size=3), b"abc"), (entry("c", size=600), bytes(600))]
    assert written([items[0], ready, items[2]]) == written(items)


@pytest.mark.parametrize("sizes", [[300_000, 5, 262_144, 1], [100_000] * 7, [1_000_000]])
def test_pieces_are_equal_wherever_the_entries_end(sizes: list[int], tmp_path: object) -> None:
    items: list[tuple[LayerEntry, Content]] = []
    for number, size in enumerate(sizes):
        path = f"{tmp_path}/{number}"
        with open(path, "wb") as file:
            file.truncate(size)
        items.append((entry(str(number), size=size), path))
    pieces: list[int] = []
    total = write_layer(items, lambda data: pieces.append(len(data)))
    assert pieces == [256 * 1024] * (total // (256 * 1024)) + [total % (256 * 1024)]


@given(st.lists(changes(), max_size=3))
def test_headers_as_usual_are_read_as_any_other(items: list[tuple[LayerEntry, bytes]]) -> None:
    data = written(items)
    usual = read(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("executor.image.tarread._PLAIN", re.compile(b"(?!)"))
        assert read(data) == usual


@given(st.binary(max_size=3000))
def test_any_bytes_are_entries_or_an_image_error(data: bytes) -> None:
    with contextlib.suppress(ImageError):
        read(data)


@given(st.lists(changes(), min_size=1, max_size=2), st.data())
def test_damaged_archives_are_entries_or_an_image_error(
    items: list[tuple[LayerEntry, bytes]], data: st.DataObject
) -> None:
    archive = bytearray(written(items))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    repaired = bytes(archive)
    for start in range(0, len(repaired), 512):  # so that the damage is met behind the checksum too
        block = repaired[start : start + 148] + b" " * 8 + repaired[start + 156 : start + 512]
        repaired = repaired[: start + 148] + b"%06o\0 " % sum(block) + repaired[start + 156 :]
    for candidate in (bytes(archive), repaired, bytes(archive)[: len(archive) // 2]):
        with contextlib.suppress(ImageError):
            read(candidate)


def entry(name: str = "f", kind: EntryType = EntryType.FILE, **fields: object) -> LayerEntry:
    return LayerEntry(**({"name": name, "type": kind, "mode": 0o644} | fields))  # type: ignore[arg-type]


def test_the_bytes_of_a_simple_layer_never_change() -> None:
    data = written(
        [
            (entry("", EntryType.DIRECTORY, mode=0o755), ""),
            (entry("bin", EntryType.DIRECTORY, mode=0o755), ""),
            (entry("bin/sh", size=3, mode=0o4755, mtime_ns=1_700_000_000_999_999_999), b"abc"),
            (entry("é" * 60, size=0, xattrs={"user.x": b"\0\n="}), b""),
        ]
    )
    assert hashlib.sha256(data).hexdigest() == "29a632f3f3a88b899ace1dddfb1b3963c189e127623329a52eceaa746c691430"


def test_names_that_fit_need_no_extended_header() -> None:
    for name in ("a" * 100, "d" * 60 + "/" + "f" * 90, "d" * 155 + "/" + "f" * 100):
        assert len(written([(entry(name), b"")])) == 512 + 1024
    for name in ("a" * 101, "d" * 156 + "/f", "é"):
        data = written([(entry(name), b"")])
        assert len(data) > 512 + 1024
        assert read(data)[0][0].name == name


def test_times_are_cut_to_seconds_and_to_the_epoch() -> None:
    late = entry(mtime_ns=5_999_999_999)
    assert read(written([(late, b"")]))[0][0].mtime_ns == 5_000_000_000
    assert read(written([(late, b"")], latest_mtime=3))[0][0].mtime_ns == 3_000_000_000
    assert read(written([(late, b"")], latest_mtime=9))[0][0].mtime_ns == 5_000_000_000


@pytest.mark.parametrize("size", [1, 511, 512, 513, 256 * 1024 - 1, 256 * 1024, 700_001])
def test_contents_come_from_paths_bytes_and_streams(size: int, tmp_path: object) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    path = f"{tmp_path}/file"
    with open(path, "wb") as file:
        file.write(data)

    def opened() -> BinaryIO:
        return io.BytesIO(data)

    archives = {written([(entry(size=size), content)]) for content in (path, data, opened)}
    assert len(archives) == 1
    assert read(archives.pop())[0][1] == data


@pytest.mark.parametrize("promised", [2, 4, 300_000])
def test_a_file_that_changes_its_size_is_an_error(promised: int, tmp_path: object) -> None:
    path = f"{tmp_path}/file"
    with open(path, "wb") as file:
        file.write(b"abc")
    for content in (path, lambda: io.BytesIO(b"abc"), b"abc"):
        with pytest.raises(StepError, match="/f changed its size"):
            written([(entry(size=promised), content)])


def test_a_file_that_vanished_is_an_error(tmp_path: object) -> None:
    with pytest.raises(StepError, match="cannot read /f for the layer: No such file"):
        written([(entry(size=1), f"{tmp_path}/none")])


@pytest.mark.parametrize(("number", "hint"), [(errno.EMFILE, "ulimit -n"), (errno.EIO, "another disk")])
def test_a_file_that_the_machine_cannot_read_is_no_fault_of_the_step(number: int, hint: str) -> None:
    def content() -> io.BytesIO:
        raise OSError(number, os.strerror(number))

    with pytest.raises(UnfitError, match="cannot read /f for the layer") as caught:
        written([(entry(size=1), content)])
    assert hint in caught.value.hint


def test_large_files_pass_in_pieces() -> None:
    pieces: list[int] = []
    write_layer(
        [(entry(size=3_000_000), lambda: io.BytesIO(bytes(3_000_000)))], lambda data: pieces.append(len(data))
    )
    assert max(pieces) <= 600_000
    assert sum(pieces) == 512 + 3_000_320 + 1024


@pytest.mark.parametrize("length", [*range(1, 12), *range(88, 104), *range(985, 1005)])
def test_a_pax_record_counts_its_own_length(length: int) -> None:
    record = pax_record(b"k", b"v" * length)
    assert int(record.split(b" ")[0]) == len(record)


# ---- the reader on what others write


def archive_of(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int, **options: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **options) as archive:  # type: ignore[call-overload]
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def member(name: str, size: int = 0, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_links_and_large_ids_of_other_writers(form: int) -> None:
    long, target = "d/" * 80 + "fé", "t" * 200
    data = archive_of(
        [
            (member(long, 3, uid=3_000_000_000, gid=5), b"abc"),
            (member("s", type=tarfile.SYMTYPE, linkname=target), b""),
            (member("after"), b""),
        ],
        form,
    )
    (first, content), (second, _), (third, _) = read(data)
    assert (first.name, content, first.uid, first.gid) == (long, b"abc", 3_000_000_000, 5)
    assert (second.type, second.link) == (EntryType.SYMLINK, target)
    assert (third.name, third.link) == ("after", "")


def test_pax_times_have_nanoseconds_and_global_headers_stay() -> None:
    info = member("f", mtime=1.5, pax_headers={"mtime": "-1.000000001", "SCHILY.xattr.user.a": "1"})
    data = archive_of(
        [(info, b""), (member("g"), b"")], tarfile.PAX_FORMAT, pax_headers={"uid": "77", "comment": "c"}
    )
    (first, _), (second, _) = read(data)
    assert (first.mtime_ns, first.uid, first.xattrs) == (-1_000_000_001, 77, {"user.a": b"1"})
    assert (second.uid, second.xattrs) == (77, {})


def test_libarchive_attributes_are_decoded() -> None:
    info = member("f", pax_headers={"LIBARCHIVE.xattr.user.a%20b": "AAE", "mtime": "1"})
    assert read(archive_of([(info, b"")], tarfile.PAX_FORMAT))[0][0].xattrs == {"user.a b": b"\0\1"}


def test_v7_directories_and_contiguous_files() -> None:
    data = archive_of(
        [(member("d/", type=tarfile.AREGTYPE), b""), (member("c", 1, type=tarfile.CONTTYPE), b"x")],
        tarfile.USTAR_FORMAT,
    )
    (first, _), (second, content) = read(data)
    assert (first.name, first.type) == ("d", EntryType.DIRECTORY)
    assert (second.type, content) == (EntryType.FILE, b"x")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"./a", "a"), (b"/a/b/", "a/b"), (b"./", ""), (b".", ""), (b"/", ""), (b"a//b", "a/b"), (b"a/./b", "a/b"),
        (b"a/x/../b", "a/b"), (b".hidden", ".hidden"), (b"a/.b", "a/.b"), (b"..a", "..a"), (b"a\xff", "a\udcff"),
        (b"/../a", None), (b"..", None), (b"a/../../b", None), (b"a\0b", None),
    ],
)  # fmt: skip
def test_names_are_cleaned(path: bytes, name: str | None) -> None:
    if name is not None:
        assert clean_name(path) == name
    else:
        with pytest.raises(ImageError):
            clean_name(path)


def test_the_stream_is_read_to_its_end() -> None:
    stream = io.BytesIO(written([(entry(), b"")]) + bytes(10_000) + b"trailing")
    assert [e.name for e, _ in read_entries(stream)] == ["f"]
    assert stream.read() == b""


def test_unread_contents_are_passed_over() -> None:
    data = written([(entry("a", size=300_000), bytes(300_000)), (entry("b", size=2), b"ok")])
    found = []
    for item, content in read_entries(io.BytesIO(data)):
        found.append((item.name, content.read(2)))
    assert found == [("a", b"\0\0"), ("b", b"ok")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 512, "checksum"),
        (written([(entry(size=600), bytes(600))])[:900], "middle of an entry"),
        (written([(entry(), b"")])[:512] + bytes(512) + b"junk".ljust(512, b"\0"), "empty block"),
        (archive_of([(member("s", type=b"S"), b"")], tarfile.GNU_FORMAT), "sparse"),
        (archive_of([(member("s", pax_headers={"GNU.sparse.major": "1"}), b"")], tarfile.PAX_FORMAT), "sparse"),
        (archive_of([(member("s", type=b"V"), b"")], tarfile.GNU_FORMAT), "unknown type"),
        (archive_of([(member("s", pax_headers={"mtime": "soon"}), b"")], tarfile.PAX_FORMAT), "malformed mtime"),
        (archive_of([(member("s", pax_headers={"uid": "-1"}), b"")], tarfile.PAX_FORMAT), "malformed uid"),
        (archive_of([(member("s", pax_headers={"uid": "9" * 10}), b"")], tarfile.PAX_FORMAT), "impossible uid"),
        (archive_of([(member("s", gid=2**40), b"")], tarfile.GNU_FORMAT), "impossible gid"),
        (archive_of([(member("s", type=b"3", devminor=2**40), b"")], tarfile.GNU_FORMAT), "impossible device"),
        (archive_of([(member("../x"), b"")], tarfile.PAX_FORMAT), "outside of its root"),
        (archive_of([(member("s", type=tarfile.SYMTYPE), b"")], tarfile.PAX_FORMAT), "symbolic link"),
    ],
)  # fmt: skip
def test_malformed_archives(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read(data)


@pytest.mark.parametrize(
    "body",
    [
        b"6 a=b\n" + b"x" * 30, b"6 a=b\nx", b"0 a=b\n", b"5 a=b\n", b"7 a=b\n", b"6 a=b\n6 \n", b" a=b\n",
        b"-6 a=b\n",
        b"6 =bc\n", b"6 abc\n", b"+6 a=b\n", b"99999999999999999999 a=b\n", b"a=b\n",
    ],
)  # fmt: skip
def test_malformed_records_of_extended_headers(body: bytes) -> None:
    header = bytearray(written([(entry(size=len(body)), body)])[:512])
    header[156:157] = b"x"
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    data = bytes(header) + body.ljust(512, b"\0") + written([(entry(), b"")])
    with pytest.raises(ImageError, match="malformed record"):
        read(data)


def test_an_archive_without_end_marker_or_content_is_accepted() -> None:
    assert read(b"") == []
    assert len(read(written([(entry(), b"")])[:512])) == 1
