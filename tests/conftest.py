"""What every test starts from."""

from tests.support import dispositions


def pytest_configure() -> None:
    dispositions.reset()
