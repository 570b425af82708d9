"""What `auto` leaves out, whatever the machine."""

import pytest

from executor.errors import UnfitError
from executor.rootfs import choose
from executor.rootfs.base import Probe
from executor.spec import RootfsOptions


class Works:
    def __init__(self, name):
        self.name = name

    def probe(self):
        return Probe(usable=True)


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr(choose, "drivers", lambda _store, _options, _written: [Works("in-place"), Works("chroot")])
    monkeypatch.setattr(choose, "recover", lambda: False)
    return lambda **options: choose.choose_driver(None, RootfsOptions(**options), lambda _event: None).name


def test_no_build_takes_the_root_over_while_others_go_on(chosen):
    assert chosen() == "in-place"
    assert chosen(beside=True) == "chroot"
    with pytest.raises(UnfitError, match="other images are built at the same time"):
        chosen(driver="in-place", beside=True)
