"""Damage of unpacked layers: found when they are compared, after an hour and when the machine was started anew."""

import os
import stat
import time
from pathlib import Path

import pytest

from executor.spec import PruneSpec
from executor.store import Store, prune, seals


@pytest.fixture
def home(tmp_path):
    return str(tmp_path / "home")


@pytest.fixture
def old(monkeypatch):
    """A layer is no new one from the beginning."""
    monkeypatch.setattr(seals, "_NEW", 0.0)


def fill(directory):
    tree = Path(directory, "fs")
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_text("content")
    (tree / "link").symlink_to("sub")


def add(home):
    with Store.open(home) as store:
        return Path(store.unpacked.add("key", fill))


def get(home):
    with Store.open(home) as store:
        return store.unpacked.get("key")


def an_hour_passes(path):
    os.utime(f"{path}.seal", (time.time() - 3_700,) * 2)


def edit(path):
    (path / "fs" / "sub" / "file").write_text("other")


def edit_in_secret(path):
    """Other bytes, as many as there were, and the old times."""
    file = path / "fs" / "sub" / "file"
    before = file.stat()
    file.write_text("CONTENT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_link(path):
    (path / "fs" / "sub" / "file").unlink()
    (path / "fs" / "sub" / "file").symlink_to("x")


DAMAGE = {
    "edit": edit,
    "edit in secret": edit_in_secret,
    "time of a link": lambda path: os.utime(path / "fs" / "link", (1, 1), follow_symlinks=False),
    "remove": lambda path: (path / "fs" / "sub" / "file").unlink(),
    "add": lambda path: (path / "fs" / "more").touch(),
    "mode": lambda path: (path / "fs" / "sub" / "file").chmod(0o600),
    "link": replace_by_link,
}


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_the_layer_made_anew(home, damage):
    path = add(home)
    assert get(home) == str(path), "a second process seals it"
    DAMAGE[damage](path)
    assert get(home) == str(path), "it was compared less than an hour ago"
    an_hour_passes(path)
    assert get(home) is None
    assert not path.exists()
    assert add(home) == path
    assert (path / "fs" / "sub" / "file").read_text() == "content"


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_before_it_is_sealed_is_found_too(home, damage):
    path = add(home)
    time.sleep(0.02)  # the clock of file systems ticks a hundred times a second or more often
    DAMAGE[damage](path)
    with Store.open(home) as store:
        assert prune(store, PruneSpec(keep=10**9)).left > 0, "looks through it for its size"
    assert get(home) is None
    assert not path.exists()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_new_layer_is_not_looked_through_and_its_damage_is_found_later(home, damage, monkeypatch):
    path = add(home)
    time.sleep(0.02)  # as above
    DAMAGE[damage](path)
    assert get(home) == str(path)
    monkeypatch.setattr(seals, "_NEW", 0.0)
    assert get(home) is None


@pytest.mark.usefixtures("old")
def test_what_is_whole_stays(home):
    path = add(home)
    for _ in range(3):
        assert get(home) == str(path)
        an_hour_passes(path)
    assert time.time() - os.stat(f"{path}.seal").st_mtime > 3_600
    assert get(home) == str(path)
    assert time.time() - os.stat(f"{path}.seal").st_mtime < 100, "compared just now"


@pytest.mark.usefixtures("old")
def test_after_the_machine_stopped_only_what_was_sealed_counts(home, monkeypatch):
    path = add(home)
    monkeypatch.setattr(seals, "_boot", lambda: "another run")
    assert get(home) is None, "its files may never have reached the disk"
    add(home)
    assert get(home) == str(path)
    monkeypatch.setattr(seals, "_boot", lambda: "a third run")
    assert get(home) == str(path), "it was sealed, and is what it was"
    monkeypatch.setattr(seals, "_boot", lambda: "a fourth run")
    edit(path)
    assert get(home) is None


def test_whiteouts_of_overlayfs_may_lose_their_other_names(home, tmp_path):
    def fill_with_whiteout(directory):
        os.mkdir(os.path.join(directory, "fs"))
        os.mknod(other, stat.S_IFCHR)
        os.link(other, os.path.join(directory, "fs", "gone"))

    other = tmp_path / "of the working directory"
    with Store.open(home) as store:
        store.unpacked.add("key", fill_with_whiteout)
    time.sleep(0.02)
    other.unlink()
    assert get(home)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"boot": 1, "more": 2}'])
def test_a_seal_that_cannot_be_read_is_none(home, text):
    path = add(home)
    Path(f"{path}.seal").write_text(text)
    assert get(home) is None


def test_a_full_disk_leaves_nothing_half_written(home, monkeypatch):
    def refuse(_source, _target):
        raise OSError(28, "No space left on device")

    path = add(home)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        seals.begin_seal(str(path))
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.seal"]


def test_what_was_looked_through_for_its_size_is_sealed_and_not_looked_through_again(home, monkeypatch):
    path = add(home)
    with Store.open(home) as store:
        left = prune(store, PruneSpec(keep=10**9)).left
    sealed = seals.read_seal(str(path))
    assert sealed.digest
    assert sealed.size > 0
    monkeypatch.setattr(seals, "_survey", pytest.fail)
    with Store.open(home) as store:
        assert prune(store, PruneSpec(keep=10**9)).left == left
