"""What every test starts from."""

from hypothesis import settings

from tests.support import dispositions

# `make fuzz`: many more inputs a property. One that takes longer than the deadline (in ms) has failed, too.
settings.register_profile("fuzz", max_examples=20_000, deadline=2_000)


def pytest_configure() -> None:
    dispositions.reset()
