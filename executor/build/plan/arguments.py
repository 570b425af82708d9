"""What an ARG declares: a build argument beats the default written here, which beats a global ARG of the name."""

from __future__ import annotations

from collections.abc import Mapping

from executor.dockerfile.expansion import expand_word_at
from executor.dockerfile.instructions import Arg


def declared(
    instruction: Arg,
    environment: Mapping[str, str],
    *,
    given: Mapping[str, str],
    inherited: Mapping[str, str],
    escape: str,
) -> dict[str, str | None]:
    """The value of each name (None: declared without one); a default sees those before it.

    `given` are the build arguments, `inherited` the global ones. Raises StepError for a default that cannot be
    expanded.
    """
    values: dict[str, str | None] = {}
    seen = dict(environment)
    for name, default in instruction.entries:
        value = given.get(name)
        if value is None and default is not None:
            value = expand_word_at(default, seen, instruction, escape=escape)
        elif value is None:
            value = inherited.get(name)
        values[name] = value
        if value is not None:
            seen[name] = value
    return values
