"""Flags that can be read without click: what nearly every pipeline writes. click itself takes longer than parsing.

Whatever is not plain (help, mistakes, variables that stand for flags, unusual spellings) is left to click, so that
there is one place that explains and refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from executor.options.flags import Flag, FlagValue

_SWITCHES = {"true": True, "false": False}


class _NotPlain(Exception):  # noqa: N818 - not a fault
    """click has to look at it."""


def plain_values(
    flags: Sequence[Flag], words: Sequence[str], environ: Mapping[str, str]
) -> dict[str, FlagValue | None] | None:
    """The value of every flag by its field, exactly as click gives them; None when click has to read `words`.

    `words` are normalized (`flags.normalize`).
    """
    if not words or any(flag.env in environ for flag in flags if flag.env):
        return None
    try:
        given: dict[str, list[str]] = {}
        for flag, text in _given(flags, words):
            given.setdefault(flag.field, []).append(text)
        return {flag.field: _value(flag, given.get(flag.field, [])) for flag in flags}
    except _NotPlain:
        return None


def _given(flags: Sequence[Flag], words: Sequence[str]) -> Iterator[tuple[Flag, str]]:
    """`--flag=value`, `--flag value` and `-f value`. Raises _NotPlain."""
    long = {f"--{name}": flag for flag in flags for name in (flag.name, *flag.aliases)}
    spaced = long | {f"-{flag.short}": flag for flag in flags if flag.short}
    rest = iter(words)
    for word in rest:
        name, equals, text = word.partition("=")
        flag = (long if equals else spaced).get(name)
        if flag is None:
            raise _NotPlain
        if not equals:
            text = next(rest, "-")
            if text.startswith("-"):
                raise _NotPlain
        yield flag, text


def _value(flag: Flag, texts: list[str]) -> FlagValue | None:
    if flag.kind == "list":
        return tuple(texts)
    if not texts:
        return None if flag.choices and not flag.default else flag.default
    text = texts[-1]
    if flag.kind == "bool" and text in _SWITCHES:
        return _SWITCHES[text]
    if flag.kind == "number" and text.isascii() and text.isdecimal():
        return int(text)
    if flag.kind == "text" and (not flag.choices or text in flag.choices):
        return text
    raise _NotPlain
