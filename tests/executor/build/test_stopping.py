"""A stop is a stop, whatever it interrupts makes of it."""

import signal

import pytest

from executor.build.stopping import StopFlag, stopping_on_signals
from executor.errors import StoppedError


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """The process is not ended after a while, as that of a build would be."""
    monkeypatch.setattr("executor.build.stopping._PATIENCE", 1_000_000.0)


def interrupted(error):
    """Be stopped in the middle of something that raises `error` then."""
    with stopping_on_signals(StopFlag()):
        try:
            signal.raise_signal(signal.SIGTERM)
        except StoppedError:
            raise error from None


def test_a_stop_that_becomes_another_error_is_a_stop():
    with pytest.raises(StoppedError):
        interrupted(KeyError("a thread that was just started"))


def test_errors_without_a_stop_stay():
    def fail():
        with stopping_on_signals(StopFlag()):
            raise KeyError

    with pytest.raises(KeyError):
        fail()


def test_a_signal_in_the_middle_of_the_first_ones_handler_changes_nothing():
    flag = StopFlag()
    handlers, set_by_first = [], flag.set

    def interrupted_set(number):
        handlers[0](signal.SIGTERM, None)  # as it was before it was replaced
        set_by_first(number)

    def stopped():
        with stopping_on_signals(flag):
            handlers.append(signal.getsignal(signal.SIGINT))
            signal.raise_signal(signal.SIGINT)

    flag.set = interrupted_set
    with pytest.raises(StoppedError, match="stopped by SIGINT"):
        stopped()


def test_a_signal_that_nohup_lets_be_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_on_signals(StopFlag()):
            signal.raise_signal(signal.SIGHUP)
        with pytest.raises(StoppedError), stopping_on_signals(StopFlag()):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
