"""Pushing an image that lies on disk: found, looked through, sent to all destinations, each with its result."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack, closing
from functools import cache, partial
from tempfile import TemporaryDirectory
from typing import BinaryIO

from executor.build.bases.transfers import Meter, Sent
from executor.build.output.digestfiles import check_places, write_digest_files
from executor.build.output.pushing import Pushable, Pusher, read_pushable
from executor.build.stopping import StopFlag, stopping_on_signals
from executor.dataclass import dataclass
from executor.errors import ImageError, PushError
from executor.events import Sink
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.reference import Reference
from executor.image.verified import BUFFER, read_document
from executor.push.ondisk import ImageOnDisk, find_in_archive, find_in_layout
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.push import PushBlob
from executor.spec import OutputSpec, RegistryOptions

_DAMAGED = "what is on disk is not whole: was it copied or kept as an artifact in full? Else build it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What to push: an image of an OCI layout, or of an archive, the other being ''; each `PATH[:TAG|@DIGEST]`.

    Of `output` the destinations count, the retries, and the files that name digests.
    """

    layout: str
    archive: str
    output: OutputSpec
    registry: RegistryOptions


def push_from_disk(request: PushRequest, sink: Sink) -> Digest:
    """Push the image, or the index of several platforms with all of them, to every destination; its digest.

    All are tried. Then the files are written, when all have it. Raises PushError naming those that do not,
    UsageError and ImageError as `find_in_layout` does, and ImageError for a blob that is missing or damaged.
    """
    check_places(request.output)
    stop = StopFlag()
    targets = tuple(map(Reference.parse, dict.fromkeys(request.output.destinations)))
    with stopping_on_signals(stop), ExitStack() as stack:
        scratch = cache(lambda: stack.enter_context(TemporaryDirectory(prefix="executor-push-")))
        found = find_in_layout(request.layout) if request.layout else find_in_archive(request.archive, scratch)
        image = _pushable(found, stop, sink)
        _push(image, targets, request, sink)
        write_digest_files(request.output, image.descriptor.digest)
        return image.descriptor.digest


def _push(image: Pushable, targets: tuple[Reference, ...], request: PushRequest, sink: Sink) -> None:
    output = request.output
    keychain = Keychain.from_environment(os.environ, sink, automatic=request.registry.automatic_logins)
    client = RegistryClient(request.registry, keychain, sink, "push", retry=output.push_retry)
    pusher = Pusher(client, sink, keep_immutable_tags=output.keep_immutable_tags, built=False)
    with closing(pusher):
        try:
            pusher.push(image, targets, lambda _target: None)
        except PushError as error:
            if any(isinstance(cause, ImageError) for cause in error.causes):
                raise ImageError(error.message, hint=_DAMAGED) from error
            raise


def _pushable(image: ImageOnDisk, stop: StopFlag, sink: Sink) -> Pushable:
    """The image with all that it names. That all is there is seen now, whether it is sound while it is sent."""

    def blob(descriptor: Descriptor) -> PushBlob:
        if not descriptor.urls:
            image.open(descriptor).close()
        return PushBlob(descriptor=descriptor, source="", open=partial(opened, descriptor))

    def opened(descriptor: Descriptor) -> BinaryIO:
        return io.BufferedReader(Sent(image.open(descriptor), stop, Meter(sink, "push", descriptor)), BUFFER)

    try:
        return read_pushable(image.descriptor, partial(read_document, image.open), blob)
    except ImageError as error:
        error.hint = error.hint or _DAMAGED
        raise
    except RecursionError:
        raise ImageError(
            f"{image.descriptor.digest} is an index of indexes of indexes, and too many of them"
        ) from None
