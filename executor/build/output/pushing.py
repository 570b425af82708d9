"""Images on their way to registries: while they are built, and later, when a build has left one in the store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from executor.build.bases.transfers import Meter, Sent
from executor.build.output.digestfiles import write_digest_files
from executor.build.stopping import StopFlag, stopping_on_signals
from executor.dataclass import asdict, dataclass, replace
from executor.errors import Error, ImageError, PushError, RegistryError, StoppedError
from executor.events import Sink, Warned
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.manifest import Index, parse_manifest
from executor.image.reference import Reference
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.registry.push import BlobUploads, PushBlob, PushDocument, push_image
from executor.registry.reasons import is_immutable_tag
from executor.spec import (
    BuildResult,
    BuildSpec,
    PushSpec,
    WaitingImage,
    build_result_from_json,
    output_spec_from_json,
    registry_options_from_json,
)
from executor.store import Store, Unpushed

if TYPE_CHECKING:
    from executor.registry.early import GrowingBlob

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushable:
    """An image as registries take it: its manifest and the blobs that it names; or an index with `children`."""

    descriptor: Descriptor
    document: bytes
    blobs: tuple[PushBlob, ...] = ()
    children: tuple[Pushable, ...] = ()

    def all_blobs(self) -> Iterator[PushBlob]:
        """The blobs of the image, and of its children."""
        yield from self.blobs
        for child in self.children:
            yield from child.all_blobs()

    def documents(self) -> Iterator[PushDocument]:
        """The manifests of an index, and itself as the last."""
        for child in self.children:
            yield from child.documents()
        yield PushDocument(self.descriptor.media_type, self.document)

    def all_descriptors(self) -> Iterator[Descriptor]:
        """All that the image consists of, itself excepted."""
        yield from (blob.descriptor for blob in self.blobs)
        for child in self.children:
            yield child.descriptor
            yield from child.all_descriptors()


class Pusher:
    """Sends images through one client. A blob goes to a registry once, whatever the number of destinations.

    `built` is for what is said of failures: that it was the build before that went well.
    """

    def __init__(
        self, client: RegistryClient, sink: Sink, *, keep_immutable_tags: bool = False, built: bool = True
    ) -> None:
        self._client = client
        self._sink = sink
        self._keep_immutable_tags = keep_immutable_tags
        self._but = "built, but " if built else ""
        self._uploads = BlobUploads(client)

    def begin(self, repository: str, blob: PushBlob) -> None:
        """Start sending a blob that an image will need."""
        self._uploads.begin(repository, blob)

    def begin_early(self, repository: str, blob: GrowingBlob) -> None:
        """Start sending one that is still being written. It has to be begun all the same."""
        self._uploads.begin_early(repository, blob)

    def holder(self, registry: str, digest: Digest) -> str:
        """See `BlobUploads.holder`."""
        return self._uploads.holder(registry, digest)

    def send_content(self, image: Pushable, targets: Sequence[Reference]) -> None:
        """Send all blobs, and neither manifest nor tag. Raises PushError."""

        def send(target: Reference) -> None:
            for upload in [self._uploads.begin(target.name, blob) for blob in image.all_blobs()]:
                upload.result()

        self._each(targets, send)

    def push(self, image: Pushable, targets: Sequence[Reference], on_pushed: Callable[[Reference], None]) -> None:
        """Push to all of `targets` and tell `on_pushed` of each that has the image.

        Raises PushError, naming each that does not, when all were tried.
        """

        def push(target: Reference) -> None:
            self._push(image, target)
            on_pushed(target)

        self._each(targets, push)

    def close(self) -> None:
        """Give up uploads that nobody waits for."""
        self._uploads.close()
        self._client.close()

    def _push(self, image: Pushable, target: Reference) -> None:
        documents, blobs = tuple(image.documents()), tuple(image.all_blobs())
        try:
            push_image(self._client, target, documents, blobs, uploads=self._uploads)
        except RegistryError as error:
            if not self._keep_immutable_tags or not is_immutable_tag(error):
                raise
            self._sink(Warned(message=f"{target} stays the image that it was: {error}"))

    def _each(self, targets: Sequence[Reference], send: Callable[[Reference], None]) -> None:
        failures: list[tuple[Reference, Error]] = []
        for target in targets:
            try:
                send(target)
            except StoppedError:
                raise
            except Error as error:
                failures.append((target, error))
                self._sink(Warned(message=f"push to {target} failed: {error}"))
        if failures:
            raise _push_error(failures, len(targets), self._but)


def read_pushable(
    descriptor: Descriptor, read: Callable[[Descriptor], bytes], blob: Callable[[Descriptor], PushBlob]
) -> Pushable:
    """The image or index `descriptor`: `read` has manifests and indexes, `blob` is called for all else.

    Raises ImageError for a malformed manifest, and what the two raise.
    """
    document = read(descriptor)
    parsed = parse_manifest(document, descriptor.media_type)
    if isinstance(parsed, Index):
        children = tuple(read_pushable(child, read, blob) for child in parsed.manifests)
        return Pushable(descriptor=descriptor, document=document, children=children)
    blobs = tuple(map(blob, (*parsed.layers, parsed.config)))
    return Pushable(descriptor=descriptor, document=document, blobs=blobs)


def keep(store: Store, image: Pushable, spec: BuildSpec, result: BuildResult) -> None:
    """Let `image` wait in the store's folder `spec.output.keep` until all destinations have it."""
    sources = {blob.descriptor.digest: blob.source for blob in image.all_blobs() if blob.source}
    record = {
        "name": spec.name,
        "output": asdict(spec.output),
        "registry": asdict(spec.registry),
        "result": result.to_json(),
        "sources": sources,
    }
    store.unpushed.keep(
        spec.output.keep,
        image.descriptor,
        image.all_descriptors(),
        destinations=[str(Reference.parse(text)) for text in spec.output.destinations],
        record=record,
    )


def waiting_images(home: str) -> tuple[WaitingImage, ...]:
    """The images that wait in the store of `home` ('' for the default), also those that cannot be read."""
    with Store.open(home) as store:
        return tuple(_waiting_image(store, name) for name in store.unpushed.names())


def _waiting_image(store: Store, keep: str) -> WaitingImage:
    try:
        image = store.unpushed.get(keep)
        result = build_result_from_json(image.record["result"])
        name = str(image.record["name"])
    except (Error, KeyError):
        return WaitingImage(keep=keep)
    return WaitingImage(
        keep=keep, name=name, digest=result.digest, size=result.size, destinations=image.destinations
    )


def push(spec: PushSpec, sink: Sink) -> BuildResult:
    """Push the image that waits under the name `spec.keep`, and let it go when all destinations have it.

    The result is the build's, with the names that registries hold now. Raises PushError, and ImageError when there
    is no such image.
    """
    stop = StopFlag()
    with stopping_on_signals(stop), Store.open(spec.home) as store:
        waiting = store.unpushed.get(spec.keep)
        output = output_spec_from_json(waiting.record["output"])
        registry = registry_options_from_json(waiting.record["registry"])
        result = build_result_from_json(waiting.record["result"])
        targets = tuple(Reference.parse(text) for text in waiting.destinations)
        client = RegistryClient(
            registry,
            Keychain.from_environment(automatic=registry.automatic_logins),
            sink,
            "push",
            retry=output.push_retry,
        )
        with (
            RegistryClient(
                registry, Keychain.from_environment(automatic=registry.automatic_logins), sink, "pull"
            ) as puller,
            closing(Pusher(client, sink, keep_immutable_tags=output.keep_immutable_tags)) as pusher,
        ):
            image = _Waiting(waiting, puller, stop, sink).pushable(waiting.root)
            if spec.phase == "content":
                pusher.send_content(image, targets)
                return result
            digest = image.descriptor.digest
            pusher.push(image, targets, lambda target: store.unpushed.settle(spec.keep, digest, [str(target)]))
        write_digest_files(output, digest)
        return replace(result, pushed=tuple(f"{target}@{digest}" for target in targets))


class _Waiting:
    """Reads an image that waits; what is not in its layout comes from the registry that is known to have it."""

    def __init__(self, image: Unpushed, client: RegistryClient, stop: StopFlag, sink: Sink) -> None:
        self._image = image
        self._client = client
        self._stop = stop
        self._sink = sink
        self._sources: dict[str, str] = image.record["sources"]

    def pushable(self, descriptor: Descriptor) -> Pushable:
        """The image or index `descriptor`."""
        return read_pushable(descriptor, self._read, self._blob)

    def _read(self, descriptor: Descriptor) -> bytes:
        with self._image.open(descriptor) as stream:
            return stream.read()

    def _blob(self, blob: Descriptor) -> PushBlob:
        def opened() -> BinaryIO:
            stream = self._image.open(blob) if self._image.has(blob) else self._fetch(blob)
            return io.BufferedReader(Sent(stream, self._stop, Meter(self._sink, "push", blob)), _PIECE)

        return PushBlob(descriptor=blob, source=self._sources.get(blob.digest, ""), open=opened)

    def _fetch(self, blob: Descriptor) -> BinaryIO:
        source = self._sources.get(blob.digest)
        if source is None:
            raise ImageError(
                f"layer {blob.digest} is not in {self._image.layout.path}, and no registry is known for it"
            )
        return self._client.open_blob(source, blob)


def _push_error(failures: Sequence[tuple[Reference, Error]], destinations: int, but: str) -> PushError:
    causes = [error for _, error in failures]
    if destinations == 1:
        target, error = failures[0]
        return PushError(f"{but}not pushed to {target}: {error}", hint=error.hint, causes=causes)
    lines = "".join(f"\n    {target}: {error}" for target, error in failures)
    hints = {error.hint for error in causes}
    hint = hints.pop() if len(hints) == 1 else ""
    return PushError(f"{but}{len(failures)} of {destinations} pushes failed:{lines}", hint=hint, causes=causes)
