"""The Dockerfile as typed values: what the parser makes and the engine executes.

Strings are as written: variables unexpanded, quotes kept where the instruction expands words (`words.py` does
both at build time, when the values are known). Every instruction knows its place and its source text.
A new instruction is a dataclass here, a row in the parser, and an arm in each `match` that mypy then names.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from executor.dataclass import dataclass, field
from executor.errors import Diagnostic, Location


@dataclass(frozen=True, slots=True)
class Heredoc:
    """An inline document `<<NAME`. `expand` is False for a quoted name; `strip_tabs` is True for `<<-`.

    `content` is the body as BuildKit sees it: tabs already stripped, every line ended by a newline. `written`
    is the body with its tabs: what the image's history shows, and what a shell that strips them itself reads.
    """

    name: str
    content: str
    expand: bool = True
    strip_tabs: bool = False
    descriptor: int = 0
    written: str = ""


@dataclass(frozen=True, slots=True)
class ShellForm:
    """A command line for the stage's SHELL. `heredocs` are those of a RUN, in order; `text` names them."""

    text: str
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecForm:
    """A JSON array of strings, run without a shell."""

    argv: tuple[str, ...]


Command: TypeAlias = ShellForm | ExecForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One `RUN --mount=…`. `options` holds the keys as written ('' for a bare key), in order."""

    type: Literal["bind", "cache", "tmpfs", "secret", "ssh"]
    options: tuple[tuple[str, str], ...]
    location: Location

    def get(self, *names: str) -> str | None:
        """The value that is written last for one of `names` (a key and its aliases), else None."""
        return next((value for name, value in reversed(self.options) if name in names), None)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that RUN asks for by its CDI name; without `required` the command runs where there is none."""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all instructions share. `source` is the text as written, continuation lines joined by newlines.

    `comments` are the texts of the comments right above it.
    """

    location: Location
    source: str
    comments: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """FROM [--platform=…] image [AS name]. `name` is lower case, '' when the stage has none."""

    image: str
    platform: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """ARG name[=default] …; a default of None means none was written."""

    entries: tuple[tuple[str, str | None], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it declares."""
        return tuple(name for name, _ in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """ENV key=value … and the legacy `ENV key value`."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """LABEL key=value … and the legacy `LABEL key value`."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """RUN. `network` and `security` are '' when not written."""

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: str = ""
    security: str = ""
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY. `documents` are heredoc sources, whose names are the file names. `from_` is '' for the context."""

    sources: tuple[str, ...]
    destination: str
    documents: tuple[Heredoc, ...] = ()
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Instruction):
    """ADD. `unpack` is None when the flag is not written (local archives are unpacked, downloads are not)."""

    sources: tuple[str, ...]
    destination: str
    documents: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """WORKDIR path."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """USER user[:group]."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """VOLUME path … or a JSON array."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """EXPOSE port[-port][/protocol] …"""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """CMD."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """ENTRYPOINT."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """HEALTHCHECK. `command` None is HEALTHCHECK NONE. Durations are nanoseconds, 0 when not written."""

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopsignal(Instruction):
    """STOPSIGNAL signal."""

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """SHELL [ … ]."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """MAINTAINER name (deprecated, still sets the image's author)."""

    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """ONBUILD trigger. `expression` is the trigger's text as it goes into the image configuration."""

    expression: str


StageInstruction: TypeAlias = (
    Arg
    | Env
    | Label
    | Run
    | Copy
    | Add
    | Workdir
    | User
    | Volume
    | Expose
    | Cmd
    | Entrypoint
    | Healthcheck
    | Stopsignal
    | Shell
    | Maintainer
    | Onbuild
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One FROM and what follows it. `index` counts from 0 in the file."""

    index: int
    base: From
    instructions: tuple[StageInstruction, ...]

    @property
    def name(self) -> str:
        """The stage's name in lower case, '' when it has none."""
        return self.base.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """Parser directives at the top of the file."""

    escape: str = "\\"
    syntax: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A whole file: directives, the ARGs before the first FROM, stages, and what the lexer warns of."""

    file: str
    directives: Directives
    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    warnings: tuple[Diagnostic, ...] = field(default=())
