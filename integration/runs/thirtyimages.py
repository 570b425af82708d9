"""The list in thirty/: what becomes of each of its images, and a registry that fails as the list expects it to."""

from __future__ import annotations

from pathlib import Path

from tests.support.fake_registry import FakeRegistry, Fault

LIST = Path(__file__).parent / "thirty"

STATUSES = {
    **{f"chain-{number}": "built" for number in range(1, 6)},
    **dict.fromkeys(("top", "left", "right", "bottom"), "built"),
    **{f"matrix-{letter}-{number}": "built" for letter in "abc" for number in (1, 2)},
    **dict.fromkeys(("two-web", "two-worker", "empty", "flaky", "upon-forbidden"), "built"),
    **dict.fromkeys(("local", "upon-local", "last"), "built"),
    **dict.fromkeys(("broken", "lacking", "slow"), "failed"),
    **dict.fromkeys(("upon-broken", "upon-slow"), "skipped"),
    **dict.fromkeys(("forbidden", "partly"), "push failed"),
}
"""When images are pushed as they are built."""


def misbehave(registry: FakeRegistry) -> None:
    """Forget what was pushed, and fail."""
    for held in (registry.faults, registry.manifests, registry.blobs, registry.requests):
        held.clear()
    registry.faults += [
        Fault(method="PUT", path="/v2/flaky/manifests", status=503, times=2),
        Fault(method="PUT", path="/v2/forbidden/manifests", status=403, times=1000),
        Fault(method="PUT", path="/v2/forbidden-too/manifests", status=403, times=1000),
    ]


def mend(registry: FakeRegistry) -> None:
    """Take everything from now on."""
    registry.faults.clear()


def tags(registry: FakeRegistry) -> dict[str, set[str]]:
    """Repository → tags."""
    found = {name: {tag for tag in held if ":" not in tag} for name, held in registry.manifests.items()}
    return {name: held for name, held in found.items() if held}
