"""Instructions that take one text or a list of words: EXPOSE, MAINTAINER, STOPSIGNAL, USER, VOLUME, WORKDIR."""

from __future__ import annotations

from executor.dockerfile.flags import Flags
from executor.dockerfile.instructions import Expose, Maintainer, Stopsignal, User, Volume, Workdir
from executor.dockerfile.statement import Statement
from executor.dockerfile.whitespace import SPACES, words_of


def parse_expose(statement: Statement, _flags: Flags) -> Expose:
    """`EXPOSE port …`; the ports come sorted, as BuildKit has them in the image's history."""
    ports = sorted(word for word, _ in words_of(statement.rest.text))
    if not ports:
        raise statement.fault("EXPOSE requires at least one argument", "write EXPOSE 8080 or EXPOSE 53/udp")
    return Expose(ports=tuple(ports), **statement.common)


def parse_volume(statement: Statement, _flags: Flags) -> Volume:
    """`VOLUME path …`, or a JSON array."""
    paths = statement.json_form()
    if paths is None:
        paths = tuple(word for word, _ in words_of(statement.rest.text))
    if not paths:
        raise statement.fault("VOLUME requires at least one argument")
    paths = tuple(path.strip(SPACES) for path in paths)
    if "" in paths:
        raise statement.fault("VOLUME cannot have an empty path")
    return Volume(paths=paths, **statement.common)


def parse_maintainer(statement: Statement, _flags: Flags) -> Maintainer:
    """`MAINTAINER name`, deprecated."""
    return Maintainer(author=_text(statement), **statement.common)


def parse_stopsignal(statement: Statement, _flags: Flags) -> Stopsignal:
    """`STOPSIGNAL signal`."""
    return Stopsignal(signal=_text(statement), **statement.common)


def parse_user(statement: Statement, _flags: Flags) -> User:
    """`USER user[:group]`."""
    return User(user=_text(statement), **statement.common)


def parse_workdir(statement: Statement, _flags: Flags) -> Workdir:
    """`WORKDIR path`; spaces belong to the path."""
    return Workdir(path=_text(statement), **statement.common)


def _text(statement: Statement) -> str:
    if not statement.rest.text:
        raise statement.fault(f"{statement.keyword} requires exactly one argument")
    return statement.rest.text
