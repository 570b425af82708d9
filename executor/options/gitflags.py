"""The values of kaniko's --git, `NAME=VALUE` each or several with commas, as a query of the context's URL.

branch=NAME                    what to take
recurse-submodules=false       without submodules; BuildKit takes them, and so does this without the flag
single-branch, depth           nothing but the wanted commit is fetched in any case
insecure-skip-tls=true         refused: git has a variable for that
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from executor.errors import NotSupportedError, UsageError

_SWITCHES = ("single-branch", "recurse-submodules", "insecure-skip-tls")
_KNOWN = ("branch", "depth", *_SWITCHES)


def with_git_options(context: str, texts: Sequence[str]) -> str:
    """The context's URL with what the values of --git say. Raises UsageError and NotSupportedError.

    For a context that is no git repository they say nothing, as for kaniko.
    """
    from executor.context.giturl import is_git_url  # one build in many has this flag

    options = dict(_option(part) for text in texts for part in text.split(",") if part)
    if options.get("insecure-skip-tls") == "true":
        raise NotSupportedError(
            "--git=insecure-skip-tls=true is not supported",
            hint="set GIT_SSL_NO_VERIFY=1, or give git the certificate with GIT_SSL_CAINFO",
        )
    query = []
    if options.get("branch"):
        query.append(f"branch={quote(options['branch'], safe='/')}")
    if options.get("recurse-submodules") == "false":
        query.append("submodules=false")
    if not query or not is_git_url(context):
        return context
    remote, separator, fragment = context.partition("#")
    return f"{remote}{'&' if '?' in remote else '?'}{'&'.join(query)}{separator}{fragment}"


def _option(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if name not in _KNOWN or not separator:
        raise UsageError(
            f"--git={text}: unknown option", hint=f"it takes {', '.join(f'{each}=…' for each in _KNOWN)}"
        )
    if name in _SWITCHES and value not in ("true", "false"):
        raise UsageError(f"--git={text}: {name} is true or false")
    return name, value
