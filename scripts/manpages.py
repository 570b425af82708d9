"""Write man/krunner.1 and man/executor.1 from the commands' own help and docs/exit-codes.md.

.venv/bin/python scripts/manpages.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]


def pages() -> dict[str, str]:
    """The pages by file name."""
    from executor import cli as executor_cli
    from executor.login import cli as login_cli
    from executor.push import cli as push_cli
    from runner.commands import group

    others = (login_cli.command("login"), login_cli.command("logout"), push_cli.command())
    lists, one = "build and push a list of container images", "build and push one container image"
    return {
        "krunner.1": page("krunner", f"{lists} without a daemon", group.krunner, "executor"),
        "executor.1": page("executor", f"{one} without a daemon", executor_cli.command(), "krunner", others),
    }


def page(name: str, purpose: str, command: click.Command, other: str, others: Sequence[click.Command] = ()) -> str:
    """One page. `other` is the page that it refers to, `others` are commands that are called by name."""
    lines = [
        f'.TH {name.upper()} 1 "" "krunner" "User Commands"',
        ".SH NAME",
        rf"{name} \- {purpose}",
        ".SH SYNOPSIS",
        *synopsis(name, command),
        ".SH DESCRIPTION",
        *paragraphs(command.help or ""),
    ]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *subcommands(name, command)]
    else:
        lines += [".SH OPTIONS", *options(command)]
    if others:
        lines += [".SH COMMANDS", *(line for member in others for line in subcommand(name, member))]
    lines += [".SH ENVIRONMENT", *environment(command), ".SH EXIT STATUS", *exit_status()]
    return "\n".join([*lines, ".SH SEE ALSO", rf"\fB{other}\fR(1)", ""])


def synopsis(name: str, command: click.Command) -> Iterator[str]:
    """How it is called."""
    if isinstance(command, click.Group):
        yield rf"\fB{name}\fR [\fIOPTIONS\fR] \fIFILE\fR"
        yield ".br"
        yield rf"\fB{name}\fR \fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    else:
        yield rf"\fB{name}\fR [\fIOPTIONS\fR]"


def subcommands(name: str, group: click.Group) -> Iterator[str]:
    """A section for each command."""
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        yield from subcommand(name, command)


def subcommand(name: str, command: click.Command) -> Iterator[str]:
    """The section of a command that is called as `name` with another word."""
    context = click.Context(command)
    arguments = [param.make_metavar(context) for param in command.params if isinstance(param, click.Argument)]
    yield f".SS {name} {command.name} {escaped(' '.join(arguments))}".rstrip()
    yield from paragraphs(f"{command.help or ''}\n\n{command.epilog or ''}")
    yield from options(command)


def options(command: click.Command) -> Iterator[str]:
    """The options, one paragraph each, as --help has them."""
    context = click.Context(command)
    for param in command.params:
        record = None if isinstance(param, click.Argument) else param.get_help_record(context)
        if record is None:
            continue
        names, text = record
        yield ".TP"
        yield rf"\fB{escaped(names)}\fR"
        yield escaped(text.strip()) or r"\&"


def paragraphs(text: str) -> Iterator[str]:
    """Help text: paragraphs, and what stands after \\b as it is."""
    for block in re.split(r"\n\s*\n", text.strip()):
        verbatim, body = block.startswith("\b"), block.lstrip("\b\n")
        if not verbatim:
            yield from (".PP", escaped(re.sub(r"\s+", " ", body).strip()))
            continue
        yield from (".PP", ".nf", *(escaped(line) for line in body.splitlines()), ".fi")


def environment(command: click.Command) -> Iterator[str]:
    """The variables that stand in for options, and those that are known to all programs."""
    found: dict[str, str] = {}
    group = command if isinstance(command, click.Group) else None
    names = group.list_commands(click.Context(group)) if group else []
    members = [group.get_command(click.Context(group), name) for name in names] if group else [command]
    for member in members:
        for param in member.params if member else []:
            for variable in [param.envvar] if isinstance(param.envvar, str) else param.envvar or []:
                found[variable] = f"for {param.opts[-1]}"
    found["NO_COLOR, FORCE_COLOR"] = "no colours, or colours also where there is no terminal"
    for variable, text in sorted(found.items()):
        yield from (".TP", rf"\fB{escaped(variable)}\fR", escaped(text))


def exit_status() -> Iterator[str]:
    """The table of docs/exit-codes.md."""
    table = (ROOT / "docs/exit-codes.md").read_text()
    rows = re.findall(r"^\| ([\d, ]+) \| (.*?) \| (.*?) ?\|$", table, re.MULTILINE)
    for code, meaning, advice in rows:
        yield from (".TP", rf"\fB{code}\fR", escaped(meaning.replace("`", "")))
        if advice:
            yield from (".br", escaped(f"({advice})".replace("`", "")))


def escaped(text: str) -> str:
    """Text that roff takes as it is, in ASCII."""
    shown = text.replace("\\", r"\e").replace("-", r"\-")
    shown = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in shown)
    return re.sub(r"^(?=[.'])", r"\\&", shown, flags=re.MULTILINE)


def main(folder: Path) -> None:
    """Write the pages."""
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "man")
