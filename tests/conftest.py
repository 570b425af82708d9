"""What every test starts from."""

from hypothesis import settings

from tests.support import dispositions

# `make fuzz`: many more inputs a property. An input that takes longer than the deadline (ms) fails.
settings.register_profile("fuzz", max_examples=10_000, deadline=30_000)


def pytest_configure() -> None:
    dispositions.reset()
