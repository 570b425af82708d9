"""`key=value` arguments: ARG, ENV and LABEL. Quotes stay; `words` takes them away when values are expanded."""

from __future__ import annotations

import re

from executor.dockerfile.flags import Flags
from executor.dockerfile.instructions import Arg, Env, Label
from executor.dockerfile.statement import FaultError, Statement
from executor.dockerfile.tokens import Token, split_words
from executor.dockerfile.whitespace import first_word, skip_spaces

_TYPOGRAPHIC = re.compile("[\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb]")


def parse_arg(statement: Statement, _flags: Flags) -> Arg:
    """`ARG name[=default] …`."""
    words = split_words(statement.rest, statement.escape)
    if not words:
        raise statement.fault("ARG requires at least one argument", "write ARG name or ARG name=default")
    return Arg(entries=tuple(_entry(word) for word in words), **statement.common)


def _entry(word: Token) -> tuple[str, str | None]:
    name, equals, default = word.text.partition("=")
    if not name:
        raise FaultError("ARG names cannot be blank", word)
    return name, default if equals else None


def parse_env(statement: Statement, _flags: Flags) -> Env:
    """`ENV key=value …`, or `ENV key all that follows`."""
    return Env(pairs=_pairs(statement), **statement.common)


def parse_label(statement: Statement, _flags: Flags) -> Label:
    """`LABEL key=value …`, or `LABEL key all that follows`."""
    return Label(pairs=_pairs(statement), **statement.common)


def _pairs(statement: Statement) -> tuple[tuple[str, str], ...]:
    words = split_words(statement.rest, statement.escape)
    if not words:
        raise statement.fault(f"{statement.keyword} requires at least one argument", "write key=value")
    # Whether the first word holds a `=` decides between the two forms.
    if "=" in words[0].text:
        return tuple(_pair(statement, word) for word in words)
    return (_legacy_pair(statement),)


def _pair(statement: Statement, word: Token) -> tuple[str, str]:
    key, equals, value = word.text.partition("=")
    if not equals:
        hint = 'quote a value with spaces: key="two words"'
        if _TYPOGRAPHIC.search(statement.rest.text):
            hint = f"{hint}, with straight quotes"
        raise FaultError(f"{statement.keyword} needs name=value, there is no = in {word.text!r}", word, hint)
    if not key:
        raise FaultError(f"{statement.keyword} names cannot be blank", word)
    return key, value


def _legacy_pair(statement: Statement) -> tuple[str, str]:
    text = statement.rest.text
    key = first_word(text, 0)
    if len(key) == len(text):
        raise statement.fault(f"{statement.keyword} must have two arguments", f"write {key}=value")
    return key, text[skip_spaces(text, len(key)) :]
