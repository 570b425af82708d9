"""Which images a run's length came from: the last to end, what it waited for, what that waited for, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from executor.dataclass import dataclass
from runner.report.imagerecord import ImageRecord

Reason: TypeAlias = Literal["last", "needed", "busy"]
_CLOCKS = 0.001  # seconds by which a start may come before the end that it waited for
_AT_ONCE = 0.5  # seconds between one image's end and the next one's start that are no pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An image of the path. `reason`: it was the last, the next image needed it, or was waiting for its place."""

    image: ImageRecord
    start: float
    end: float
    reason: Reason


def critical_path(images: Mapping[str, ImageRecord], now: float) -> list[Link]:
    """The chain in the order of time, up to the image that ended last; what has not ended ends at `now`."""
    begun = [image for image in images.values() if image.start is not None]
    if not begun:
        return []
    path = [_link(max(begun, key=lambda image: _end(image, now)), now, "last")]
    while (found := _before(path[-1], images, begun, now)) and found.start < path[-1].start:
        path.append(found)
    return path[::-1]


def _before(link: Link, images: Mapping[str, ImageRecord], begun: list[ImageRecord], now: float) -> Link | None:
    """What had to end for `link` to start."""
    needed = [images[name] for name in link.image.needs if name in images and images[name].start is not None]
    latest = max(needed, key=lambda image: _end(image, now), default=None)
    if latest and link.start - _end(latest, now) <= _AT_ONCE:
        return _link(latest, now, "needed")
    ended = [image for image in begun if image is not link.image and _end(image, now) <= link.start + _CLOCKS]
    last = max(ended, key=lambda image: _end(image, now), default=None)
    if last and link.start - _end(last, now) <= _AT_ONCE:
        return _link(last, now, "busy")
    return _link(latest, now, "needed") if latest else None


def _link(image: ImageRecord, now: float, reason: Reason) -> Link:
    return Link(image=image, start=image.start or 0.0, end=_end(image, now), reason=reason)


def _end(image: ImageRecord, now: float) -> float:
    return now if image.end is None else image.end
