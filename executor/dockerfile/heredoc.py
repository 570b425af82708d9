"""Heredocs: which words of a line begin one, and what a RUN makes of them.

RUN <<EOF            the document is the script        RUN cat <<A 3<<-"B" > /f    the shell reads them
COPY <<file.txt /    the document is a file            quotes in the name: no expansion in the document
"""

from __future__ import annotations

import re

from executor.dockerfile.instructions import Heredoc, ShellForm
from executor.dockerfile.words import WordError, expand_words

_HEREDOC = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)


def parse_heredoc(word: str) -> Heredoc | None:
    """The heredoc that `word` (`<<EOF`, `3<<-"EOF"`) announces, without content, or None if it is no such word.

    Raises WordError if its name has an open quote or a bad substitution.
    """
    match = _HEREDOC.fullmatch(word)
    if not match or not match[3]:
        return None
    bare = expand_words(match[3], {}, keep_unset=True)
    if len(bare) != 1:
        return None
    quoted = expand_words(match[3], {}, keep_unset=True, keep_quotes=True)
    return Heredoc(
        name=bare[0],
        content="",
        expand=_quotes(bare[0]) == _quotes("".join(quoted)),
        strip_tabs=match[2] == "-",
        descriptor=int(match[1][:9] or 0),
    )


def heredoc_or_none(word: str) -> Heredoc | None:
    """`parse_heredoc`, taking a word it cannot read for an ordinary one."""
    try:
        return parse_heredoc(word)
    except WordError:
        return None


def heredocs_of(line: str) -> tuple[Heredoc, ...]:
    """The heredocs that a whole instruction announces, in order, without content. Raises WordError.

    A line that does not lex (an open quote that is the shell's business) announces none, as with BuildKit.
    """
    try:
        words = expand_words(line, {}, keep_quotes=True, keep_escapes=True, keep_unset=True)
    except WordError:
        return ()
    return tuple(document for word in words if (document := parse_heredoc(word)))


def strip_leading_tabs(text: str) -> str:
    """What `<<-` does to a document: every line loses its leading tabs."""
    return _LEADING_TABS.sub("", text)


def inline_script(command: ShellForm) -> Heredoc | None:
    """The document that is all there is to a RUN (`RUN <<EOF`): run in place of the command line.

    If its content begins with `#!` it is a file to execute, else a text for the stage's shell.
    """
    if not command.heredocs or not heredoc_or_none(command.text):
        return None
    return command.heredocs[0]


def shell_text(command: ShellForm) -> str:
    """The text a stage's shell is given: the inline script, or the line with its documents below it."""
    if script := inline_script(command):
        return script.content
    return "\n".join((command.text, *(f"{doc.written or doc.content}{doc.name}" for doc in command.heredocs)))


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')
