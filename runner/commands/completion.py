"""`krunner completion`: what a shell reads to complete krunner's command line."""

from __future__ import annotations

from typing import Literal

import click

_HELP = """Print a script with which SHELL completes krunner's commands, options, files and image names.

\b
bash   krunner completion bash > /etc/bash_completion.d/krunner
zsh    krunner completion zsh > "${fpath[1]}/_krunner"
fish   krunner completion fish > ~/.config/fish/completions/krunner.fish
"""


@click.command("completion", short_help="Print the completion script of a shell.", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the script that click has for the shell."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    print(kinds[shell](context.find_root().command, {}, "krunner", "_KRUNNER_COMPLETE").source())
