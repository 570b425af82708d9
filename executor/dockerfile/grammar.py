"""The instructions of a Dockerfile, one row each: keyword, function that reads its arguments, flags.

A new instruction is a dataclass in `instructions`, a row here, and an arm in each `match` over instructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from executor.dataclass import dataclass, field, replace
from executor.dockerfile import copying, keyvalue, running, settings
from executor.dockerfile.flags import Flags, FlagTable, Kind, read_flags
from executor.dockerfile.instructions import From, Onbuild, StageInstruction
from executor.dockerfile.statement import FaultError, Statement
from executor.dockerfile.suggest import did_you_mean
from executor.dockerfile.tokens import Token, split_command
from executor.dockerfile.whitespace import words_of

AnyInstruction: TypeAlias = From | StageInstruction

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_NO_TRIGGERS = frozenset({"ONBUILD", "FROM", "MAINTAINER"})


@dataclass(frozen=True, slots=True)
class Row:
    """How an instruction is read. `read` may raise FaultError; faults it can go on after it reports."""

    keyword: str
    read: Callable[[Statement, Flags], AnyInstruction]
    flags: FlagTable = field(default_factory=dict)


def read_instruction(statement: Statement) -> AnyInstruction | None:
    """The value of one instruction; None if it has a fault that leaves nothing to go on with (it is reported)."""
    row = ROWS.get(statement.keyword)
    keyword = statement.command.keyword
    if row is None:
        hint = did_you_mean(keyword.text, ROWS) or _hint_for(statement)
        name = f"unknown instruction {keyword.text!r}" if keyword.text else "a continuation of nothing"
        statement.report(FaultError(name, keyword, hint))
        return None
    flags = read_flags(statement.command.flags, row.flags, statement.report)
    try:
        return row.read(statement, flags)
    except FaultError as fault:
        statement.report(fault)
        return None


def _hint_for(statement: Statement) -> str:
    """What a line may have been meant as whose first word is like no instruction."""
    word = statement.command.keyword
    if word.text.startswith(("//", "/*", "--", ";")):
        return "a comment begins with #"
    if word.text.startswith(("{{", "{%", "<%")):
        return "this is a template, which has to be rendered first"
    if statement.is_indented:
        return f"to go on with the instruction above, end its last line with {statement.escape}"
    return ""


def _read_from(statement: Statement, flags: Flags) -> From:
    """`FROM [--platform=…] image [AS name]`."""
    words = [Token(word, at, at + len(word)) for word, at in words_of(statement.rest.text, statement.rest.start)]
    if comment := next((word for word in words if word.text.startswith("#")), None):
        raise FaultError("FROM takes no comment in its line", comment, "write it in a line of its own")
    if len(words) not in (1, 3):
        hint = "write FROM image, or FROM image AS name"
        raise statement.fault("FROM requires either one or three arguments", hint)
    if len(words) == 3 and words[1].text.lower() != "as":
        raise FaultError(f"expected AS, not {words[1].text!r}", words[1], "write FROM image AS name")
    name = words[2].text.lower() if len(words) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        hint = "begin with a letter, go on with letters, digits, '-', '_' and '.'"
        raise FaultError(f"invalid name for a build stage: {words[2].text!r}", words[2], hint)
    return From(image=words[0].text, platform=flags.text("platform"), name=name, **statement.common)


def _read_onbuild(statement: Statement, _flags: Flags) -> Onbuild:
    """`ONBUILD instruction`. The trigger is read too, so that its faults show here and not in a later build."""
    if not statement.rest.text:
        raise statement.fault("ONBUILD requires an instruction")
    command = split_command(statement.text, statement.escape, statement.rest.start)
    trigger = replace(statement, command=command)
    if trigger.keyword in _NO_TRIGGERS:
        raise FaultError(f"{trigger.keyword} is not allowed as an ONBUILD trigger", command.keyword)
    read_instruction(trigger)
    documents = (f"\n{document.written}{document.name}" for document in statement.documents)
    expression = statement.text[statement.rest.start :] + "".join(documents)
    return Onbuild(expression=expression, **statement.common)


ROWS = {
    row.keyword: row
    for row in (
        Row("ADD", copying.parse_add, copying.ADD_FLAGS),
        Row("ARG", keyvalue.parse_arg),
        Row("CMD", running.parse_cmd),
        Row("COPY", copying.parse_copy, copying.COPY_FLAGS),
        Row("ENTRYPOINT", running.parse_entrypoint),
        Row("ENV", keyvalue.parse_env),
        Row("EXPOSE", settings.parse_expose),
        Row("FROM", _read_from, {"platform": Kind.TEXT}),
        Row("HEALTHCHECK", running.parse_healthcheck, running.HEALTHCHECK_FLAGS),
        Row("LABEL", keyvalue.parse_label),
        Row("MAINTAINER", settings.parse_maintainer),
        Row("ONBUILD", _read_onbuild),
        Row("RUN", running.parse_run, running.RUN_FLAGS),
        Row("SHELL", running.parse_shell),
        Row("STOPSIGNAL", settings.parse_stopsignal),
        Row("USER", settings.parse_user),
        Row("VOLUME", settings.parse_volume),
        Row("WORKDIR", settings.parse_workdir),
    )
}
