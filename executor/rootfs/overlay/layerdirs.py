"""Layers as directories for overlayfs, each unpacked once per session in the store.

    <key>/fs     the layer's tree in overlayfs's form
    <key>/root   there when the layer describes the root directory

The key is the diff ID's hex, or the chain ID's for a layer that had to be applied to a mount of those below it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from executor.image.digest import Digest
from executor.image.layer import Layer, chain_ids
from executor.removal import remove
from executor.rootfs.base import OpenLayer
from executor.rootfs.files.unpack import NeedsLowerLayersError, XattrNamespace, apply_layer, unpack_overlay_layer
from executor.rootfs.kernel import syscalls
from executor.rootfs.overlay.overlaymount import OverlayMount, mount_overlay
from executor.store.unpacked import TREE, UnpackedLayers, new_tree

_ROOT_MARK = "root"
_THREADS = 4


class LayerDirectories:
    """Unpacks layers into the store. Safe for several threads."""

    def __init__(self, unpacked: UnpackedLayers, *, namespace: XattrNamespace, squash: bool) -> None:
        self._unpacked = unpacked
        self._namespace: XattrNamespace = namespace
        self._squash = squash
        self._suffix = ("" if namespace == "trusted" else "-user") + ("-squashed" if squash else "")

    def get(self, layers: Sequence[Layer], open_layer: OpenLayer) -> list[str]:
        """The directories of `layers`, lowest first; those that are missing are unpacked, several at once."""
        with self.unpacking(layers, open_layer) as pending:
            found = [future.result() for future in pending]
        chain = chain_ids(layers)
        done: list[str] = []
        for layer, directory, chain_id in zip(layers, found, chain, strict=True):
            done.append(directory or self._on_top(layer, chain_id, list(done), open_layer))
        return done

    def has(self, layers: Sequence[Layer]) -> bool:
        """Whether all of `layers` are unpacked."""
        return all(
            self._unpacked.get(layer.diff_id.hex + self._suffix) or self._unpacked.get(self._chain_key(chain_id))
            for layer, chain_id in zip(layers, chain_ids(layers), strict=True)
        )

    @contextmanager
    def unpacking(self, layers: Sequence[Layer], open_layer: OpenLayer) -> Iterator[list[Future[str | None]]]:
        """Unpack in the background what can be unpacked alone; None is the result of what cannot."""
        with ThreadPoolExecutor(_THREADS, "unpack") as pool:
            chain = chain_ids(layers)
            pending = [
                pool.submit(self._alone, layer, chain_id, open_layer)
                for layer, chain_id in zip(layers, chain, strict=True)
            ]
            try:
                yield pending
            finally:
                for future in pending:
                    future.cancel()

    def adopt(self, layer: Layer, directory: str, *, describes_root: bool) -> str:
        """Take `directory`, which holds the tree of `layer` as its `fs`, into the store."""
        if describes_root:
            _mark_root(directory)
        return self._unpacked.adopt(layer.diff_id.hex + self._suffix, directory)

    def _alone(self, layer: Layer, chain_id: Digest, open_layer: OpenLayer) -> str | None:
        lowest = chain_id == layer.diff_id
        if not lowest and (made := self._unpacked.get(self._chain_key(chain_id))):
            return made

        def fill(directory: str) -> None:
            tree = new_tree(directory)
            with open_layer(layer) as stream:
                if lowest:
                    described = apply_layer(stream, tree, squash=self._squash)
                else:
                    described = unpack_overlay_layer(stream, tree, namespace=self._namespace, squash=self._squash)
            if described:
                _mark_root(directory)

        try:
            return self._unpacked.add(layer.diff_id.hex + self._suffix, fill)
        except NeedsLowerLayersError:
            return None

    def _on_top(self, layer: Layer, chain_id: Digest, below: list[str], open_layer: OpenLayer) -> str:
        def fill(directory: str) -> None:
            target, work = os.path.join(directory, "mount"), os.path.join(directory, "work")
            upper = new_tree(directory)
            os.mkdir(target)
            os.mkdir(work)
            mount = OverlayMount(
                target=target,
                lowers=[os.path.join(path, TREE) for path in reversed(below)],
                upper=upper,
                work=work,
                user_xattrs=self._namespace == "user",
            )
            mount_overlay(mount)
            try:
                with open_layer(layer) as stream:
                    described = apply_layer(stream, target, squash=self._squash)
            finally:
                syscalls.unmount(target, syscalls.MNT_DETACH)
            os.rmdir(target)
            remove(work)
            if described:
                _mark_root(directory)

        return self._unpacked.add(self._chain_key(chain_id), fill)

    def _chain_key(self, chain_id: Digest) -> str:
        return f"{chain_id.hex}-chain{self._suffix}"


def describes_root(directory: str) -> bool:
    """True when the layer in `directory` says what the root directory is like."""
    return os.path.exists(os.path.join(directory, _ROOT_MARK))


def _mark_root(directory: str) -> None:
    Path(directory, _ROOT_MARK).touch()
