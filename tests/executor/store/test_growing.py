"""Blobs that are read while they are being written."""

import os
import threading

import pytest

from executor.errors import ImageError
from executor.store import Store

PIECES = [os.urandom(300_000), b"", b"x", os.urandom(1_000_000)]
WHOLE = b"".join(PIECES)


@pytest.fixture
def blobs(tmp_path):
    with Store.open(str(tmp_path / "home")) as opened:
        yield opened.blobs


class Reader(threading.Thread):
    """Reads a growing blob to its end."""

    def __init__(self, growing):
        super().__init__(daemon=True)
        self.growing, self.read, self.error = growing, [], None
        self.start()

    def run(self):
        try:
            for piece in self.growing.pieces():
                self.read.append(piece)
        except ImageError as error:
            self.error = error

    def content(self):
        self.join(10)
        assert not self.is_alive()
        return b"".join(self.read)


@pytest.mark.parametrize("begun", range(len(PIECES)))
def test_readers_get_all_of_it_whenever_they_begin(blobs, begun):
    with blobs.writer() as writer:
        for piece in PIECES[:begun]:
            writer.write(piece)
        growing = writer.growing()
        early = Reader(growing)
        for piece in PIECES[begun:]:
            writer.write(piece)
        assert growing.digest is None
        digest = writer.commit()
    assert growing.digest == digest
    assert early.content() == Reader(growing).content() == WHOLE == blobs.read(digest)


def test_readers_hear_that_it_was_given_up(blobs):
    with blobs.writer() as writer:
        writer.write(PIECES[0])
        reader = Reader(writer.growing())
    reader.content()
    assert "given up" in str(reader.error)


def test_a_reader_holds_nobody_up(blobs):
    """One that reads nothing while all is written, and then reads it."""
    with blobs.writer() as writer:
        pieces = writer.growing().pieces()
        for piece in PIECES:
            writer.write(piece)
        digest = writer.commit()
    blobs.remove(digest)
    assert b"".join(pieces) == WHOLE


def test_its_descriptor_is_closed_with_it(blobs):
    before = os.listdir("/proc/self/fd")
    with blobs.writer() as writer:
        growing = writer.growing()
        writer.write(b"x")
        writer.commit()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    del growing, writer
    assert len(os.listdir("/proc/self/fd")) == len(before)
