"""Stop signals that wait: in whatever thread they arrive, and not a moment longer than is asked."""

import signal
import threading

import pytest

from executor.rootfs.inplace.heldsignals import HeldSignals


class StopError(Exception):
    pass


@pytest.fixture(autouse=True)
def stopping():
    def stop(number, _frame):
        raise StopError(number)

    before = signal.signal(signal.SIGTERM, stop)
    yield stop
    signal.signal(signal.SIGTERM, before)


def while_held(work, did):
    with HeldSignals():
        work()
        did.append("all")


def test_a_signal_waits_until_the_end(stopping):
    did = []
    with pytest.raises(StopError):
        while_held(lambda: signal.raise_signal(signal.SIGTERM), did)
    assert did == ["all"]
    assert signal.getsignal(signal.SIGTERM) is stopping


def test_also_when_another_thread_is_given_it():
    did = []
    thread = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    with pytest.raises(StopError):
        while_held(lambda: (thread.start(), thread.join()), did)
    assert did == ["all"]


def test_between_two_of_them_it_is_handled(stopping):
    did = []
    with HeldSignals() as held:
        with pytest.raises(StopError), held.released():
            signal.raise_signal(signal.SIGTERM)
        did.append("held again")
        assert signal.getsignal(signal.SIGTERM) is not stopping
    assert did == ["held again"]
    assert signal.getsignal(signal.SIGTERM) is stopping


def test_one_that_waits_comes_when_they_are_released():
    did = []
    with HeldSignals() as held:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopError), held.released():
            did.append("never")
    assert did == []


def test_nothing_is_held_in_other_threads(stopping):
    seen = []

    def work():
        with HeldSignals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [stopping]
