"""Layer compression, as streams: what C libraries do fastest, with our errors.

gzip goes through ISA-L, and what does not compress is stored; from level 4 on and where the bytes must not depend
on the CPU's vector units through zlib, in blocks side by side; zstd through zstandard and its own threads.
Neither output depends on the number of threads. Libraries are imported when first needed.
"""

from __future__ import annotations

import io
import zlib
from typing import IO, Any, BinaryIO, Protocol, cast

from executor.errors import ImageError

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BUFFER = 256 * 1024
_FAST_LEVELS = (1, 2, 3)  # those that ISA-L has beside its 0, which is not zlib's "no compression"
_SMALL_ZSTD_LEVELS = 5
_ZSTD_JOB = 2 * 1024 * 1024  # bytes; a third of the memory of libzstd's own choice, and 0.1 % more output


class Compressor(Protocol):
    """An incremental compressor, as zlib's."""

    def compress(self, data: bytes, /) -> bytes:
        """Take `data`, return what is ready."""

    def flush(self) -> bytes:
        """End the stream and return the rest."""


def gzip_compressor(*, level: int = 1, reproducible: bool = False, threads: int = 1) -> Compressor:
    """A gzip compressor without name or time in its header. `level` is zlib's, 0 (stored) to 9.

    With `reproducible` equal input gives equal bytes on every CPU.
    """
    if reproducible or level not in _FAST_LEVELS:
        from executor.image.blockgzip import BlockGzip

        return BlockGzip(level=level, threads=threads)
    from executor.image.fastgzip import FastGzip

    return FastGzip(level)


def zstd_compressor(*, level: int = 3, threads: int = 1) -> Compressor:
    """A zstd compressor. `level` is zstd's, 1 to 22; from 6 on it needs more than 100 MB, above 19 hundreds."""
    import zstandard

    # one thread, not none, is what makes the same jobs as many threads do
    how = {"threads": max(threads, 1), **({"job_size": _ZSTD_JOB} if level <= _SMALL_ZSTD_LEVELS else {})}
    parameters = zstandard.ZstdCompressionParameters.from_level(level, **how)
    compressor: Compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor


def decompress(stream: BinaryIO, media_type: str = "") -> BinaryIO:
    """The uncompressed bytes of `stream`, which is read from its present position and closed with the result.

    The magic number decides; a `media_type` that names a compression the bytes do not have is an ImageError.
    Reading raises ImageError when the compressed data is damaged or ends early; a zstd stream that ends early
    between blocks is only found by whoever checks the diff ID.
    """
    source = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream), _BUFFER)
    magic = source.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        from isal import igzip

        gzip_reader: Any = igzip
        return cast(BinaryIO, _Inflated(gzip_reader.IGzipFile(fileobj=source, mode="rb"), source))
    if magic == _ZSTD_MAGIC:
        import zstandard

        reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(source, read_across_frames=True)
        return cast(BinaryIO, _Inflated(reader, source))
    if media_type.endswith(("gzip", "zstd")) and magic:
        raise ImageError(f"a layer of type {media_type} is not compressed that way")
    return source


class _Inflated(io.BufferedIOBase):
    """What a decoder reads from `source`, in the pieces that it makes: nothing is copied. Its errors are ours."""

    def __init__(self, decoder: IO[bytes], source: BinaryIO) -> None:
        self._decoder = decoder
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return _decoded(self._decoder, -1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size if size >= 0 else _BUFFER)

    def close(self) -> None:
        if not self.closed:
            self._decoder.close()
            self._source.close()
        super().close()


class _Raw(io.RawIOBase):
    """Gives BufferedReader what it needs of any object with `read`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer has no len()
        data = _decoded(self._stream, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _decoded(stream: IO[bytes], size: int) -> bytes:
    """What `stream` gives. Raises ImageError for what its decoder says of damaged data."""
    try:
        return stream.read(size)
    except (EOFError, zlib.error, OSError, ValueError) as error:
        raise _damaged(error) from error
    except Exception as error:
        if type(error).__name__ in ("ZstdError", "IsalError", "error"):
            raise _damaged(error) from error
        raise


def _damaged(error: Exception) -> Exception:
    if isinstance(error, OSError) and error.errno is not None:
        return error
    return ImageError(f"compressed data is damaged or incomplete: {error}")
