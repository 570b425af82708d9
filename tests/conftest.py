"""What every test starts from."""

from hypothesis import HealthCheck, settings

from tests.support import dispositions

# On a busy machine any input, and the making of one, can take long: time alone fails nothing here.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", parent=_PATIENT)
settings.load_profile("patient")

# `make fuzz`: many more inputs a property. An input that takes longer than the deadline (ms) fails: it hangs.
settings.register_profile("fuzz", parent=_PATIENT, max_examples=10_000, deadline=60_000)


def pytest_configure() -> None:
    dispositions.reset()
