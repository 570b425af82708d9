"""What is known of a registry from its name alone: its API host, and whether plain HTTP or bad TLS are allowed.

Names are `host` or `host:port`, as in image references. The rules are those of kaniko's flags and of the library
under it (go-containerregistry, `name.Registry.Scheme`).
"""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urlsplit

from executor.image.reference import DOCKER_HUB
from executor.spec import RegistryOptions

Purpose = Literal["pull", "push"]

_HUB_API = "registry-1.docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", _HUB_API)


def api_host(registry: str) -> str:
    """The host that serves the API of `registry`; only Docker Hub's differs from its name."""
    return _HUB_API if registry == DOCKER_HUB else registry


def canonical_host(host: str) -> str:
    """`host` in lower case, with Docker Hub's other names replaced by docker.io."""
    host = host.lower()
    return DOCKER_HUB if host in _HUB_NAMES else host


def allows_http(registry: str, options: RegistryOptions, purpose: Purpose) -> bool:
    """True when `registry` may be spoken to in plain HTTP, should it not speak TLS."""
    everywhere = options.insecure if purpose == "push" else options.insecure_pull
    return everywhere or _named(registry, options.insecure_registries) or is_local(registry)


def verifies_tls(registry: str, options: RegistryOptions, purpose: Purpose) -> bool:
    """False when the user asked not to verify the certificate of `registry`."""
    nowhere = options.skip_tls_verify if purpose == "push" else options.skip_tls_verify_pull
    return not (nowhere or _named(registry, options.skip_tls_verify_registries))


def is_local(registry: str) -> bool:
    """True for this machine and for literal private addresses, where registries rarely have certificates."""
    host = urlsplit(f"//{registry}").hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or any(
        address in network for network in _PRIVATE if network.version == address.version
    )


_PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def _named(registry: str, names: tuple[str, ...]) -> bool:
    return canonical_host(registry) in {canonical_host(name) for name in names}
