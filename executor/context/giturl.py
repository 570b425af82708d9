"""Git URLs as BuildKit reads them: which repository, what to take of it, and how.

    https://host/a.git#REF:FOLDER                      a branch, tag, full ref or commit, and a folder of it
    https://host/a.git?branch=main&subdir=docs         the same as a query: ref, tag, branch, subdir, …
    git@host:a.git, ssh://git@host/a.git, git://host/a.git

The keys of a query are the rows of `_KEYS`. Behaviour: BuildKit's `dfgitutil.ParseGitRef`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

from executor.context.http import is_http_url
from executor.dataclass import dataclass, replace
from executor.errors import ContextError

_SCP_FORM = re.compile(r"(?:[a-zA-Z0-9_\-]+@)[a-zA-Z0-9.\-]+:(?!//)[^#?]+(?:\?[^#]*)?(?:#.*)?")
_SCHEMES = ("git://", "ssh://")
_TRUE = frozenset({"", "1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CHECKSUM = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource:
    """A repository, what to take of it (`ref`: a branch, tag, full ref or commit, '' for its HEAD), and how.

    `commit` is the id, or the start of it, that the commit must have; '' for any. With
    `commit_times` files are as old as the commit, with `by_commit` it is fetched without asking where the ref is.
    None: not said.
    """

    remote: str
    ref: str = ""
    commit: str = ""
    folder: str = ""
    submodules: bool = True
    keep_git_dir: bool | None = None
    commit_times: bool | None = None
    by_commit: bool = False

    @property
    def shown(self) -> str:
        """The remote without credentials, for messages."""
        scheme, separator, rest = self.remote.partition("://")
        if not separator:
            return self.remote
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def is_git_url(text: str) -> bool:
    """True for what BuildKit takes for a git repository: `git://`, `ssh://`, `user@host:path`, `http(s)://….git`."""
    if is_http_url(text):
        try:
            return urlsplit(text).path.endswith(".git")
        except ValueError:  # no proper URL, as one with a bracket alone
            return False
    return text.startswith(_SCHEMES) or _SCP_FORM.fullmatch(text) is not None


def is_commit(text: str) -> bool:
    """Whether `text` is the whole id of a commit."""
    return _COMMIT.fullmatch(text) is not None


def is_commit_part(text: str) -> bool:
    """Whether `text` can be the id of a commit or the start of one."""
    return _CHECKSUM.fullmatch(text) is not None


def parse_git_url(text: str) -> GitSource:
    """`remote[?query][#ref[:folder]]`. Raises ContextError for a query that is wrong or contradicts the rest."""
    before, _, fragment = text.partition("#")
    remote, _, query = before.partition("?")
    if "://" in remote:
        fragment = unquote(fragment)
    ref, _, folder = fragment.partition(":")
    source = GitSource(remote=remote, ref=ref, folder=_clean(folder))
    return _with_query(source, query) if query else source


def parse_context_url(text: str) -> GitSource:
    """The same for `--context`, where kaniko's rules hold as well.

    `git://host/path` is fetched by https (GIT_PULL_METHOD=http: http), and a second `#` names a commit of the ref.
    """
    source = parse_git_url(text)
    remote, ref = source.remote, source.ref
    if remote.startswith("git://"):
        method = os.environ.get("GIT_PULL_METHOD") or "https"
        if method not in ("http", "https"):
            raise ContextError(f"GIT_PULL_METHOD is {method!r}", hint="set it to https or http")
        remote = f"{method}://{remote.removeprefix('git://')}"
    _, separator, commit = ref.partition("#")
    return replace(source, remote=remote, ref=commit if separator and commit else ref.rstrip("#"))


def _with_query(source: GitSource, query: str) -> GitSource:
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in values:
            raise ContextError(f"{source.shown}: {name} is given twice in the query")
        if name not in _KEYS:
            known = ", ".join(_KEYS)
            raise ContextError(f"{source.shown}: unknown key {name!r} in the query", hint=f"its keys are {known}")
        if not value and name not in _SWITCHES:
            raise ContextError(f"{source.shown}: {name} has no value in the query")
        values[name] = value
    if "tag" in values and "branch" in values:
        raise ContextError(f"{source.shown}: give a tag or a branch, not both")
    # Tag and branch come last, as they may only confirm what ref and fragment say.
    for name in sorted(values, key=("tag", "branch").__contains__):
        source = _KEYS[name](source, name, values[name])
    if source.by_commit and not (is_commit(source.commit) or is_commit(source.ref)):
        hint = "give all of its digits by commit=…"
        raise ContextError(f"{source.shown}: fetch-by-commit needs the whole id of a commit", hint=hint)
    return source


def _ref(source: GitSource, _name: str, value: str) -> GitSource:
    return replace(source, ref=_agreed(source, "ref", source.ref, value))


def _full_ref(source: GitSource, name: str, value: str) -> GitSource:
    prefix = "refs/tags/" if name == "tag" else "refs/heads/"
    return _ref(source, name, value if value.startswith(prefix) else prefix + value)


def _folder(source: GitSource, _name: str, value: str) -> GitSource:
    return replace(source, folder=_agreed(source, "subdir", source.folder, _clean(value)))


def _commit(source: GitSource, name: str, value: str) -> GitSource:
    if not is_commit_part(value):
        raise ContextError(f"{source.shown}: {name}={value!r} is no commit id, which has hexadecimal digits")
    return replace(source, commit=_agreed(source, "commit", source.commit, value))


def _times(source: GitSource, _name: str, value: str) -> GitSource:
    if value not in ("checkout", "commit"):
        raise ContextError(f"{source.shown}: mtime is checkout or commit, not {value!r}")
    return replace(source, commit_times=value == "commit")


def _switch(source: GitSource, name: str, value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise ContextError(f"{source.shown}: {name} is true or false, not {value!r}")
    return value in _TRUE


_SWITCHES = ("submodules", "keep-git-dir", "fetch-by-commit")
_KEYS: Mapping[str, Callable[[GitSource, str, str], GitSource]] = MappingProxyType(
    {
        "ref": _ref,
        "tag": _full_ref,
        "branch": _full_ref,
        "subdir": _folder,
        "commit": _commit,
        "checksum": _commit,
        "mtime": _times,
        "submodules": lambda source, name, value: replace(source, submodules=_switch(source, name, value)),
        "keep-git-dir": lambda source, name, value: replace(source, keep_git_dir=_switch(source, name, value)),
        "fetch-by-commit": lambda source, name, value: replace(source, by_commit=_switch(source, name, value)),
    }
)


def _agreed(source: GitSource, what: str, before: str, value: str) -> str:
    """`value`, which must be what the URL said `before`, if it said anything."""
    if before and before != value:
        raise ContextError(f"{source.shown}: the URL names two of {what}: {before!r} and {value!r}")
    return value


def _clean(folder: str) -> str:
    """The folder without leading `/` and dots, which cannot lead out of the repository."""
    return posixpath.normpath(f"/{folder}").lstrip("/")
