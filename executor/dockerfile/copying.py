"""ADD and COPY: flags, sources, heredoc sources and the destination."""

from __future__ import annotations

from executor.dataclass import replace
from executor.dockerfile.flags import Flags, FlagTable, Kind
from executor.dockerfile.heredoc import heredoc_or_none
from executor.dockerfile.instructions import Add, Copy, Heredoc
from executor.dockerfile.statement import FaultError, Statement
from executor.dockerfile.tokens import Token
from executor.dockerfile.whitespace import words_of
from executor.dockerfile.words import WordError, expand

_SHARED: FlagTable = {"chown": Kind.TEXT, "chmod": Kind.TEXT, "link": Kind.BOOL, "exclude": Kind.TEXTS}
COPY_FLAGS: FlagTable = {"from": Kind.TEXT, **_SHARED, "parents": Kind.BOOL}
ADD_FLAGS: FlagTable = {**_SHARED, "checksum": Kind.TEXT, "keep-git-dir": Kind.BOOL, "unpack": Kind.BOOL}


def parse_copy(statement: Statement, flags: Flags) -> Copy:
    """`COPY [flags] source … destination`, or a JSON array."""
    sources, documents, destination = _places(statement)
    _refuse_variables(statement, flags)
    return Copy(
        sources=sources,
        destination=destination,
        documents=documents,
        from_=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.boolean("link")),
        parents=bool(flags.boolean("parents")),
        excludes=flags.texts("exclude"),
        **statement.common,
    )


def parse_add(statement: Statement, flags: Flags) -> Add:
    """`ADD [flags] source … destination`, or a JSON array."""
    sources, documents, destination = _places(statement)
    return Add(
        sources=sources,
        destination=destination,
        documents=documents,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.boolean("link")),
        excludes=flags.texts("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.boolean("keep-git-dir"),
        unpack=flags.boolean("unpack"),
        **statement.common,
    )


def _places(statement: Statement) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    """Source paths, source documents and the destination."""
    rest = statement.rest
    words = statement.json_form() or tuple(word for word, _ in words_of(rest.text))
    if len(words) < 2:
        raise statement.fault(f"{statement.keyword} requires a source and a destination")
    *sources, destination = words
    if heredoc_or_none(destination):
        place = Token(destination, rest.end - len(destination), rest.end)
        raise FaultError(f"{statement.keyword} cannot have a heredoc as its destination", place)
    bodies = {document.name: document for document in statement.documents}
    paths: list[str] = []
    documents: list[Heredoc] = []
    for source in sources:
        if announced := heredoc_or_none(source):
            body = bodies.get(announced.name, announced)
            documents.append(replace(announced, content=body.content, written=body.written))
        else:
            paths.append(source)
    return tuple(paths), tuple(documents), destination


def _refuse_variables(statement: Statement, flags: Flags) -> None:
    for token in flags.tokens("from"):
        try:
            plain = expand(token.text, {}, escape=statement.escape) == token.text
        except WordError as error:
            raise FaultError(error.message, token) from None
        if not plain:
            hint = "define a stage (FROM ${name} AS alias) and copy from it"
            statement.report(FaultError("--from does not take variables", token, hint))
