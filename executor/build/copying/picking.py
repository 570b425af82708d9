"""The files that a COPY --from needs out of the layers of an image, without unpacking the image.

Layers are read from the topmost down until nothing below can count any more. Of each, the entries that matter
(wantedpaths.py) are kept: in memory, their contents in a scratch file. Then they are applied from the lowest up,
as whole layers would be, so that whiteouts, links and owners come out the same. Layers have no index, so one that
has to be looked through is read to its end.

Links can lead elsewhere: to what they name, and then to be read again. Where a name in a layer passes through a
symbolic link of a layer below, names do not say what they mean, and the whole image has to be unpacked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import BinaryIO

from executor.build.copying.wantedpaths import Selection, Wanted, above, file_at, led_to
from executor.dataclass import dataclass, field
from executor.image.layer import OPAQUE_WHITEOUT, WHITEOUT_PREFIX, EntryType, LayerEntry
from executor.image.tarread import TarContent, read_entries, replayed
from executor.rootfs.files.unpack import apply_entries

_THREADS = 4
_CHUNK = 256 * 1024
_MOST_ENTRIES = 50_000  # of one layer; they are kept in memory, and more are no small part of an image
_MOST_WANTED = 64

Open = Callable[[], BinaryIO]


class UncertainError(Exception):
    """The files cannot be told from the layers' entries alone. Not for users."""


def pick(layers: Sequence[Open], wanted: Iterable[Wanted], tree: str, *, scratch: str, squash: bool) -> None:
    """Bring what is `wanted`, and what leads there, into the empty directory `tree`.

    `layers` open the tars of an image, lowest first; `scratch` is a directory on a disk with room. Raises
    UncertainError when only the whole image can tell, what opening a layer raises, and what `apply_layer` raises.
    """
    selection = Selection(wanted)
    while True:
        with ExitStack() as stack:
            reading = _Reading(layers, selection, lambda: stack.enter_context(tempfile.TemporaryFile(dir=scratch)))
            reading.run()
            more = reading.led_to()
            if not more:
                for kept in reversed(reading.done):
                    kept.contents.seek(0)
                    apply_entries(replayed(kept.entries, kept.contents), tree, squash=squash)
                return
        selection = Selection((*selection.wanted, *more))
        if len(selection.wanted) > _MOST_WANTED:
            raise UncertainError


@dataclass(slots=True, kw_only=True)
class _Kept:
    """What one layer has of the selection, and what its names say about the layers below."""

    number: int
    contents: BinaryIO
    entries: list[LayerEntry] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    directories: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    hard_links: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    """What it puts in place of whatever is below, or hides."""
    opaque: set[str] = field(default_factory=set)
    doubtful: bool = False
    """Whether a file of a wanted name may come from elsewhere than from the entry of its name."""


class _Reading:
    """One pass over the layers, with what is selected by now."""

    def __init__(self, layers: Sequence[Open], selection: Selection, spool: Callable[[], BinaryIO]) -> None:
        self._layers = layers
        self._selection = selection
        self._spool = spool
        self._base_names = {each.parts[-1] for each in selection.wanted}
        self._folders: set[str] = set()
        self._stop = Event()
        self.done: list[_Kept] = []

    def run(self) -> None:
        """Read from the top down, one layer after the other until it is known that all have to be merged."""
        pending = list(range(len(self._layers)))
        while pending and not self._is_complete() and not self._merges():
            self._take(self._read(pending.pop()))
        if self._is_complete() or not pending:
            return
        with ThreadPoolExecutor(_THREADS, "pick") as pool:
            reads = [pool.submit(self._read, number) for number in reversed(pending)]
            try:
                for read in reads:
                    self._take(read.result())
                    if self._is_complete():
                        return
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def led_to(self) -> set[Wanted]:
        """What links lead to, and is not selected yet."""
        found = {file_at(target, since=kept.number) for kept in self.done for target in kept.hard_links}
        pending = [*self._selection.wanted, *found]
        while pending and len(found) <= _MOST_WANTED:
            more = self._linked(pending.pop()) - found - set(self._selection.wanted)
            found |= more
            pending += more
        return found - set(self._selection.wanted)

    def _linked(self, wanted: Wanted) -> set[Wanted]:
        """Where the symbolic links lead that stand in the way of `wanted`, or at its end."""
        found = set()
        for kept in self.done:
            names: Iterable[str] = kept.links if wanted.is_pattern else above(wanted.name)
            for name in names:
                if name in kept.links:
                    try:
                        more = led_to(wanted, name, kept.links[name])
                    except ValueError:
                        raise UncertainError from None
                    found |= {more} if more else set()
        return found

    def _take(self, kept: _Kept) -> None:
        """Add what one layer has. Raises UncertainError when names above it pass through its links.

        Neither can it be told whether a directory that has to be there is, where only other files imply it.
        """
        folders = set(kept.folders).union(*map(above, kept.folders))
        self._folders |= folders
        places = {wanted.place for wanted in self._selection.wanted} - {""}
        if not self._folders.isdisjoint(kept.links) or places & folders - kept.directories:
            raise UncertainError
        self.done.append(kept)

    def _merges(self) -> bool:
        """Whether something wanted is known to be put together from several layers."""
        names = {wanted.name for wanted in self._selection.wanted}
        return any(not names.isdisjoint({"", *kept.directories}) for kept in self.done)

    def _is_complete(self) -> bool:
        """Whether no layer below those read can count."""
        if not self.done or not all(any(_settles(kept, w) for kept in self.done) for w in self._selection.wanted):
            return False
        if all(_describes_its_folders(kept) for kept in self.done):
            return True
        plain = not any(wanted.place or wanted.stem == 0 for wanted in self._selection.wanted)
        return plain and not any(kept.doubtful for kept in self.done)

    def _read(self, number: int) -> _Kept:
        kept = _Kept(number=number, contents=self._spool())
        with self._layers[number]() as stream:
            for entry, content in read_entries(stream):
                if self._stop.is_set():
                    break
                self._see(kept, entry, content)
        return kept

    def _see(self, kept: _Kept, entry: LayerEntry, content: TarContent) -> None:
        name = entry.name
        folder, _, base = name.rpartition("/")
        kept.folders.add(folder)
        if base.startswith(WHITEOUT_PREFIX):
            if self._sees_whiteout(kept, folder, base):
                _keep(kept, entry, content)
            return
        if entry.type is EntryType.DIRECTORY:
            kept.directories.add(name)
        elif entry.type is EntryType.SYMLINK:
            kept.links[name] = entry.link
        if base in self._base_names and (entry.type is not EntryType.FILE or name not in self._selection.exact):
            kept.doubtful = True
        if self._selection.touches(name):
            if entry.type is not EntryType.DIRECTORY:
                kept.replaced.add(name)
                kept.doubtful |= name in self._selection.ancestors
            if entry.type is EntryType.HARDLINK:
                kept.folders.add(entry.link.rpartition("/")[0])
                if not self._selection.touches(entry.link):
                    kept.hard_links.add(entry.link)
            _keep(kept, entry, content)

    def _sees_whiteout(self, kept: _Kept, folder: str, base: str) -> bool:
        """Whether a whiteout matters. Whether what leads to something stays depends on all that is in it."""
        selection = self._selection
        kept.doubtful |= selection.touches(folder)
        if base == OPAQUE_WHITEOUT:
            hidden, found = {f"{folder}/{name}".lstrip("/") for name in self._next_names(folder)}, kept.opaque
            name = folder
        else:
            name, found = f"{folder}/{base.removeprefix(WHITEOUT_PREFIX)}".lstrip("/"), kept.replaced
            hidden = {name}
        if not selection.touches(name):
            return False
        if any(map(selection.leads_to, hidden)):
            raise UncertainError
        found.add(name)
        return True

    def _next_names(self, folder: str) -> set[str]:
        """The names, or patterns, that wanted paths go on with below `folder`."""
        depth = folder.count("/") + 1 if folder else 0
        return {
            wanted.parts[depth]
            for wanted in self._selection.wanted
            if len(wanted.parts) > depth and "/".join(wanted.parts[:depth]) == folder
        }


def _keep(kept: _Kept, entry: LayerEntry, content: TarContent) -> None:
    if len(kept.entries) >= _MOST_ENTRIES:
        raise UncertainError
    kept.entries.append(entry)
    while content.left:
        kept.contents.write(content.read(_CHUNK))


def _settles(kept: _Kept, wanted: Wanted) -> bool:
    """Whether a layer puts something in place of whatever the layers below have of what is wanted."""
    if kept.number > wanted.since:
        return False
    name = wanted.name
    if name in kept.opaque or (not wanted.is_pattern and name.rpartition("/")[0] in kept.opaque):
        return True
    if not wanted.is_pattern and name in kept.replaced:
        return True
    return any(folder in kept.replaced for folder in above(name))


def _describes_its_folders(kept: _Kept) -> bool:
    """Whether each folder that a layer names something in is a directory of its own, as builders write them."""
    known = kept.directories | {""}
    for folder in kept.folders:
        while folder not in known:
            if folder:
                return False
        while folder := folder.rpartition("/")[0]:
            if folder not in known:
                return False
    return True
