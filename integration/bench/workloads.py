"""What is built: contexts made by recipe, the same bytes each time, on two bases (BASE: 180 MB, TINY: 2 MB)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from integration.debugimage import twenty
from integration.support.gate import serve_gate
from integration.support.recipes import Node, make_files

_TEN = 10
_FILES = 5_000
_LARGE = 1 << 30
_PIECE = 1 << 20

_SMALL = """\
ARG TINY
FROM $TINY
COPY files /srv/files
RUN echo 1 > /srv/1
RUN echo 2 > /srv/2
RUN echo 3 > /srv/3
RUN echo 4 > /srv/4
RUN cat /srv/? > /srv/all
CMD ["cat", "/srv/all"]
"""
_USUAL = """\
ARG BASE
FROM $BASE
COPY app /srv/app
RUN i=0; while [ $i -lt 50 ]; do cat /srv/app/blob; i=$((i+1)); done > /srv/large
RUN find /srv/app -name '*.txt' | wc -l > /srv/count
COPY start /srv/start
CMD ["/srv/start"]
"""
_STAGES = """\
ARG BASE
ARG TINY
FROM $BASE AS program
COPY app /src
RUN mkdir /out && find /src -name '*.txt' -exec cat {} + > /out/program
FROM $BASE AS assets
COPY blob /src/blob
RUN mkdir /out && i=0; while [ $i -lt 20 ]; do cat /src/blob; i=$((i+1)); done > /out/assets
FROM $TINY
COPY --from=program /out /srv
COPY --from=assets /out /srv
CMD ["cat", "/srv/program"]
"""
_ONE_OF_TEN = "ARG BASE\nFROM $BASE\nCOPY file /srv/file\nRUN sha256sum /srv/file > /srv/sum\n"
_MANY = """\
ARG TINY
FROM $TINY
RUN for d in $(seq {folders}); do mkdir -p /srv/$d; for f in $(seq 100); do echo $d $f > /srv/$d/$f; done; done
RUN echo one > /srv/one
RUN echo two > /srv/two
"""
_MEMORY = """\
ARG TINY
FROM $TINY
RUN mkdir /srv && dd if=/dev/urandom of=/srv/random bs=1M count=1024 && truncate -s 1G /srv/hole
RUN for d in $(seq {folders}); do mkdir -p /m/$d; for f in $(seq 100); do echo $d $f > /m/$d/$f; done; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image of a workload: its context folder, which holds the Dockerfile, and its repository."""

    context: Path
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnList:
    """A list for `krunner` with a builds file of its own: the names of its images, and how it ends (exit status).

    `lay_out(folder, registry)` writes builds.yaml and the contexts into the folder, and serves what they ask for.
    """

    names: Sequence[str]
    lay_out: Callable[[Path, str], AbstractContextManager[None]]
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Images in the order in which they must be built, or a list. `cached`: with layers are in a registry's cache.

    `large`: what a run leaves is few files and many bytes. `peers`: the only tools that it is for, if not for all.
    """

    name: str
    images: Sequence[Image] = ()
    own_list: OwnList | None = None
    cached: bool = False
    large: bool = False
    peers: Sequence[str] = ()

    @property
    def names(self) -> Sequence[str]:
        """The names of the images in a builds file."""
        return self.own_list.names if self.own_list else [image.repository for image in self.images]


Maker = Callable[[Path], Workload]


def small(work: Path) -> Workload:
    """Tiny base, ten files, five RUN."""
    files: Mapping[str, Node] = {f"files/{number}": f"{number}\n" * 100 for number in range(10)}
    return _single(work, "small", {"Dockerfile": _SMALL, **files})


def warm_up(work: Path) -> Sequence[Workload]:
    """One image and a list: afterwards the page cache has each tool's programs."""
    one, other = small(work / "one"), small(work / "other")
    second = replace(other.images[0], repository="small-again")
    return one, replace(one, images=[*one.images, second])


def usual(work: Path) -> Workload:
    """Large base, 5,000 files, a layer of 50 MB, four steps."""
    return _single(work, "usual", {"Dockerfile": _USUAL, **_application("app"), "start": "#!/bin/sh\n"})


def usual_cached(work: Path) -> Workload:
    """The same, everything in a registry's cache, on a clean machine."""
    (image,) = usual(work / "again").images
    return Workload(name="usual-cached", images=[image], cached=True)


def stages(work: Path) -> Workload:
    """Three stages, two of them on the large base."""
    application = _application("app")
    return _single(work, "stages", {"Dockerfile": _STAGES, **application, "blob": application["app/blob"]})


def ten(work: Path) -> Workload:
    """Ten images on the large base, each two steps."""
    images = []
    for number in range(_TEN):
        context = work / "ten" / str(number)
        make_files(context, {"Dockerfile": _ONE_OF_TEN, "file": f"{number}\n" * 1000})
        images.append(Image(context=context, repository=f"ten-{number}"))
    return Workload(name="ten", images=images)


def ten_thousand(work: Path) -> Workload:
    """10,000 files written, then two tiny steps."""
    return _single(work, "10k-files", {"Dockerfile": _MANY.format(folders=100)})


def hundred_thousand(work: Path) -> Workload:
    """100,000 files written, then two tiny steps."""
    return _single(work, "100k-files", {"Dockerfile": _MANY.format(folders=1000)})


def gigabyte(work: Path) -> Workload:
    """One layer of 1 GiB that does not compress."""
    workload = _single(work, "1gib-layer", {"Dockerfile": "FROM scratch\nCOPY random /random\n"})
    source = random.Random(1)
    with (workload.images[0].context / "random").open("wb") as file:
        for _ in range(_LARGE // _PIECE):
            file.write(source.randbytes(_PIECE))
    return replace(workload, large=True)


def memory(work: Path) -> Workload:
    """A layer of 2 GiB, half random and half a hole, and one of 200,000 files: look at the peak."""
    workload = _single(work, "memory", {"Dockerfile": _MEMORY.format(folders=2000)})
    return replace(workload, peers=("krunner", "in-place"))


def twenty_bases(_work: Path) -> Workload:
    """The list of integration/debugimage/twenty.py, some fail on purpose, beside a loop over its images."""

    @contextmanager
    def lay_out(folder: Path, host: str) -> Iterator[None]:
        with serve_gate(lambda _name: None) as gate:
            twenty.lay_out(folder, {"base": host, "push": gate, "gate": gate})
            yield

    own_list = OwnList(names=[image.name for image in twenty.IMAGES], lay_out=lay_out, status=1)
    return Workload(name="twenty", own_list=own_list, peers=("in-place", "in-place-loop"))


WORKLOADS: Mapping[str, Maker] = {
    "small": small,
    "usual": usual,
    "stages": stages,
    "ten": ten,
    "usual-cached": usual_cached,
    "10k-files": ten_thousand,
    "100k-files": hundred_thousand,
    "1gib-layer": gigabyte,
    "memory": memory,
    "twenty": twenty_bases,
}


def _single(work: Path, name: str, files: Mapping[str, Node]) -> Workload:
    context = work / name
    make_files(context, files)
    return Workload(name=name, images=[Image(context=context, repository=name)])


def _application(folder: str) -> dict[str, Node]:
    """5,000 small files in a hundred folders, and a megabyte that compresses to about a third."""
    source = random.Random(2)
    files: dict[str, Node] = {
        f"{folder}/{number % 100}/{number}.txt": source.randbytes(500).hex() for number in range(_FILES)
    }
    words = [source.randbytes(4).hex() for _ in range(2000)]
    files[f"{folder}/blob"] = " ".join(source.choice(words) for _ in range(_PIECE // 9))
    return files
