"""Uploads to the real registry over a connection that breaks. This one cannot go on where a request broke off."""

from __future__ import annotations

import io
import random

from executor.events import discard
from executor.image.descriptor import Descriptor
from executor.image.mediatypes import OCI_LAYER
from executor.registry.client import RegistryClient
from executor.registry.credentials import Keychain
from executor.spec import RegistryOptions, RetryPolicy
from integration.support.registries import RegistryServer
from tests.support.cutting_proxy import CuttingProxy

_MIB = 1024 * 1024


def test_an_upload_survives_broken_connections(registry: RegistryServer) -> None:
    content = random.Random(1).randbytes(16 * _MIB)
    blob = Descriptor.of(OCI_LAYER, content)
    name, _, port = registry.host.partition(":")
    patience = RetryPolicy(retries=3, initial_wait=0.01)
    with (
        CuttingProxy((name, int(port)), [12 * _MIB, 5 * _MIB]) as proxy,
        RegistryClient(RegistryOptions(insecure=True), Keychain(), discard, "push", retry=patience) as client,
    ):
        assert client.upload_blob(f"{proxy.host}/broken", blob, lambda: io.BytesIO(content)) == "sent"
        with client.open_blob(f"{proxy.host}/broken", blob) as stream:
            assert stream.read() == content
        assert proxy.sent > 32 * _MIB
