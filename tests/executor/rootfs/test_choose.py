"""What `auto` leaves out, whatever the machine."""

import pytest

from executor.errors import UnfitError
from executor.events import DriverChosen, Warned
from executor.rootfs import choose
from executor.rootfs.base import Probe
from executor.rootfs.inplace import recovery
from executor.spec import RootfsOptions


class Works:
    def __init__(self, name):
        self.name = name

    def probe(self):
        return Probe(usable=True)


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr(choose, "drivers", lambda _store, _options, _written: [Works("in-place"), Works("chroot")])
    monkeypatch.setattr(choose, "FOLDER", "/nothing-such")
    return lambda **options: choose.choose_driver(None, RootfsOptions(**options), lambda _event: None).name


def test_no_build_takes_the_root_over_while_others_go_on(chosen):
    assert chosen() == "in-place"
    assert chosen(beside=True) == "chroot"
    with pytest.raises(UnfitError, match="other images are built at the same time"):
        chosen(driver="in-place", beside=True)


def test_what_another_build_of_the_run_has_proven_is_not_tried_again(monkeypatch):
    class NeverWorks(Works):
        def probe(self):
            raise AssertionError("it is tried")

    monkeypatch.setattr(choose, "drivers", lambda _store, _options, _written: [NeverWorks("overlay")])
    monkeypatch.setattr(choose, "FOLDER", "/nothing-such")
    told = []
    assert choose.choose_driver(None, RootfsOptions(proven="overlay"), told.append).name == "overlay"
    assert told == [DriverChosen(driver="overlay", reason="the first that works")]
    with pytest.raises(AssertionError):
        choose.choose_driver(None, RootfsOptions(), told.append)


def test_what_a_killed_process_left_is_undone_before_and_told(chosen, monkeypatch, tmp_path):
    undone = []
    monkeypatch.setattr(choose, "FOLDER", str(tmp_path))
    monkeypatch.setattr(recovery, "recover", lambda: undone.append(True) or True)
    events = []
    choose.choose_driver(None, RootfsOptions(), events.append)
    assert undone == [True]
    assert isinstance(events[0], Warned)
    assert chosen() == "in-place"
