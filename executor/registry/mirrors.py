"""Where a repository is pulled from: its registry's mirrors in order, then, unless that is ruled out, itself."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from executor.errors import ImageError, RegistryError
from executor.events import Sink, Warned
from executor.registry.hosts import canonical_host
from executor.spec import RegistryOptions

_T = TypeVar("_T")


class Mirrors:
    """Tries places one after the other, and begins with the one that served the repository last.

    Repositories are `registry/repository`. Safe for several threads.
    """

    def __init__(self, options: RegistryOptions, sink: Sink) -> None:
        self._only = options.mirrors_only
        self._mirrors: defaultdict[str, list[str]] = defaultdict(list)
        for host, mirrors in options.mirrors.items():
            self._mirrors[canonical_host(host)] += mirrors
        self._sink = sink
        self._lock = threading.Lock()
        self._serving: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def places(self, repository: str) -> tuple[str, ...]:
        """The repositories to ask for `repository`, the best first. A mirror is a host, or a host and a path."""
        registry, _, path = repository.partition("/")
        mirrors = self._mirrors.get(canonical_host(registry), ())
        mapped = [f"{mirror.rstrip('/')}/{path}" for mirror in mirrors]
        own = [] if mapped and self._only else [repository]
        with self._lock:
            serving = self._serving.get(repository)
        return tuple(dict.fromkeys([*([serving] if serving else []), *mapped, *own]))

    def first(self, repository: str, ask: Callable[[str], _T | None]) -> _T | None:
        """The first answer that is not None, asking `ask` for each place; None when the last has none either.

        A mirror that fails is told of once, and the next is asked. Raises what the last place raised.
        """
        *others, last = self.places(repository)
        for place in others:
            try:
                answer = ask(place)
            except (RegistryError, ImageError) as error:
                self._tell(repository, place, str(error))
                continue
            if answer is not None:
                return self._served(repository, place, answer)
            self._tell(repository, place, f"{place} does not have it")
        return self._served(repository, last, self._ask_last(repository, last, ask))

    def _ask_last(self, repository: str, place: str, ask: Callable[[str], _T | None]) -> _T | None:
        try:
            return ask(place)
        except RegistryError as error:
            if self._only and place != repository:
                error.hint = f"no mirror has served {repository}, and its own registry is not to be asked"
            raise

    def _served(self, repository: str, place: str, answer: _T) -> _T:
        if answer is not None:
            with self._lock:
                self._serving[repository] = place
        return answer

    def _tell(self, repository: str, place: str, reason: str) -> None:
        with self._lock:
            new = (repository, place) not in self._told
            self._told.add((repository, place))
        if new:
            self._sink(Warned(message=f"{repository} is not had from {place}: {reason}"))
