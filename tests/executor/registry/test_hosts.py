"""What a registry's name decides."""

from __future__ import annotations

import pytest

from executor.registry.hosts import Purpose, allows_http, api_host, canonical_host, is_local, verifies_tls
from executor.spec import RegistryOptions


@pytest.mark.parametrize(
    ("registry", "local"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("registry.localhost", True),
        ("printer.local:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("10.1.2.3", True),
        ("172.31.0.1:80", True),
        ("192.168.0.1", True),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("docker.io", False),
        ("localhost.example.com", False),
        ("10.0.0.1.example.com", False),
    ],
)
def test_local_hosts(registry: str, local: bool) -> None:
    assert is_local(registry) is local
    assert allows_http(registry, RegistryOptions(), "pull") is local


HOST = "registry.example.com:5000"


@pytest.mark.parametrize(
    ("options", "pull", "push"),
    [
        (RegistryOptions(), False, False),
        (RegistryOptions(insecure=True), False, True),
        (RegistryOptions(insecure_pull=True), True, False),
        (RegistryOptions(insecure_registries=(HOST,)), True, True),
        (RegistryOptions(insecure_registries=("registry.example.com",)), False, False),
    ],
)
def test_who_may_be_reached_without_tls(options: RegistryOptions, pull: bool, push: bool) -> None:
    assert (allows_http(HOST, options, "pull"), allows_http(HOST, options, "push")) == (pull, push)


@pytest.mark.parametrize(
    ("options", "unverified"),
    [
        (RegistryOptions(), set()),
        (RegistryOptions(skip_tls_verify=True), {"push"}),
        (RegistryOptions(skip_tls_verify_pull=True), {"pull"}),
        (RegistryOptions(skip_tls_verify_registries=(HOST.upper(),)), {"pull", "push"}),
        (RegistryOptions(insecure=True, insecure_pull=True), set()),
    ],
)
def test_whose_certificate_is_not_verified(options: RegistryOptions, unverified: set[Purpose]) -> None:
    purposes: tuple[Purpose, ...] = ("pull", "push")
    assert {purpose for purpose in purposes if not verifies_tls(HOST, options, purpose)} == unverified


def test_docker_hub_has_many_names_and_one_api() -> None:
    assert {canonical_host(host) for host in ("docker.io", "index.docker.io", "Registry-1.Docker.IO")} == {
        "docker.io"
    }
    assert api_host("docker.io") == "registry-1.docker.io"
    assert api_host("quay.io") == "quay.io"
