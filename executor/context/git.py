"""Git repositories as contexts and as sources of ADD, through the `git` command.

Only the wanted commit is fetched. Credentials come from GIT_TOKEN, or GIT_USERNAME and GIT_PASSWORD; git gets them
from a credential helper that reads its own environment, so they are in no argument, no file and no message.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit, urlunsplit

from executor.context.http import is_http_url
from executor.dataclass import dataclass
from executor.errors import ContextError, NotSupportedError
from executor.events import Noted, Sink
from executor.ownroot import own_root

_SCP_FORM = re.compile(r"(?:[a-zA-Z0-9_\-]+@)[a-zA-Z0-9.\-]+:(?!//)[^#]+(?:#.*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = ("git://", "ssh://")
_SECONDS = 900
_DIRECTORY_MODE = 0o755
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$KRUNNER_GIT_USER" "$KRUNNER_GIT_PASS"; }; f'
)
_KEPT_LINES = 5
_NOT_FOR_GIT = (
    *("GIT_TOKEN", "GIT_USERNAME", "GIT_PASSWORD", "GIT_ASKPASS", "SSH_ASKPASS"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource:
    """A repository, what to take of it (`ref`: a branch, tag, full ref or commit, '' for its HEAD), and how.

    `commit` is the id, or the start of it, that the commit must have; '' for any.
    """

    remote: str
    ref: str = ""
    commit: str = ""
    folder: str = ""
    submodules: bool = False
    keep_git_dir: bool = False

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
        return urlsplit(text).path.endswith(".git")
    return text.startswith(_SCHEMES) or _SCP_FORM.fullmatch(text) is not None


def parse_git_url(text: str) -> GitSource:
    """`remote[#ref[:folder]]`. Raises NotSupportedError for options in a query."""
    remote, _, fragment = text.partition("#")
    if "?" in remote:
        raise NotSupportedError("options in the query of a git URL are not supported yet", hint="use #ref:folder")
    ref, _, folder = fragment.partition(":")
    return GitSource(remote=remote, ref=ref, folder=folder)


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
    return GitSource(remote=remote, ref=commit if separator and commit else ref.rstrip("#"), folder=source.folder)


def clone(source: GitSource, directory: str, sink: Sink) -> str:
    """Fetch `source` into the empty `directory` and return the folder with its files.

    Raises ContextError when git is missing, the repository or the ref cannot be had, or there is no such folder.
    """
    if shutil.which("git") is None:
        raise ContextError(f"{source.shown} needs the git command, which is not installed", hint="install git")
    if source.ref.startswith("-") or source.remote.startswith("-"):
        raise ContextError(f"{source.shown}: a repository or ref cannot begin with '-'")
    git = _Git(source, directory)
    git.run("init", "--quiet", "--initial-branch=main")
    git.run("remote", "add", "origin", git.remote)
    commit = git.fetch()
    if not commit.startswith(source.commit):
        raise ContextError(f"{source.shown} is at the commit {commit}, not {source.commit}")
    git.run("checkout", "--quiet", "--detach", commit)
    if source.submodules:
        git.run("submodule", "update", "--init", "--recursive", "--depth=1", "--quiet")
    if not source.keep_git_dir:
        _remove_git_folders(directory)
    os.chmod(directory, _DIRECTORY_MODE)
    sink(Noted(message=f"fetched {source.shown} at {commit}"))
    return _folder(source, directory)


def commit_of(source: GitSource, directory: str) -> str:
    """The commit that `source` means now, asked of the remote from the empty `directory`; nothing is fetched.

    Raises ContextError when the remote does not tell.
    """
    ref = source.ref or "HEAD"
    if _COMMIT.fullmatch(ref):
        return ref
    if ref.startswith("-") or source.remote.startswith("-"):
        raise ContextError(f"{source.shown}: a repository or ref cannot begin with '-'")
    git = _Git(source, directory)
    rows = [line.split("\t", 1) for line in git.run("ls-remote", git.remote, ref).splitlines()]
    found = {row[-1]: row[0] for row in rows}
    for name in (ref, f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}"):
        if name in found:
            return found[name]
    raise ContextError(f"{source.shown} has no ref {ref}")


class _Git:
    """Runs git in one work tree, without prompts and hooks."""

    def __init__(self, source: GitSource, directory: str) -> None:
        self._source = source
        self._directory = directory
        self.remote, user, password = _split_credentials(source.remote)
        self._environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_GIT}
        self._environment |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            "LC_ALL": "C",
        }
        self._options = ["-c", "core.askPass=", "-c", "core.hooksPath=/dev/null"]
        if password and is_http_url(self.remote):
            # Only the repository's own host gets them, not those of its submodules.
            host = "/".join(self.remote.split("/")[:3])
            self._environment |= {"KRUNNER_GIT_USER": user, "KRUNNER_GIT_PASS": password}
            self._options += ["-c", "credential.helper=", "-c", f"credential.{host}.helper={_HELPER}"]

    def fetch(self) -> str:
        """Fetch the wanted ref alone, or all when the server gives single commits only that way; its commit."""
        ref = self._source.ref or "HEAD"
        try:
            self.run("fetch", "--quiet", "--depth=1", "--no-tags", "origin", ref)
        except ContextError:
            if not _COMMIT.fullmatch(ref):
                raise
            self.run("fetch", "--quiet", "--tags", "origin")
            return self._commit(ref)
        return self._commit("FETCH_HEAD")

    def _commit(self, name: str) -> str:
        return self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()

    def run(self, *arguments: str) -> str:
        """Run git and return what it wrote. Raises ContextError with the end of its messages."""
        with own_root():
            output, messages, status = self._communicate(arguments)
        if status:
            raise ContextError(f"{self._source.shown}: git {arguments[0]} failed: {self._reason(messages)}")
        return output

    def _communicate(self, arguments: Sequence[str]) -> tuple[str, str, int]:
        """Both streams of git, and its status."""
        process = subprocess.Popen(
            ["git", *self._options, *arguments],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
            umask=0o022,
        )
        with process:
            try:
                output, messages = process.communicate(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                message = f"{self._source.shown}: git {arguments[0]} took longer than {_SECONDS} s"
                raise ContextError(message) from None
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return output, messages, process.returncode

    def _reason(self, text: str) -> str:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        shown = "; ".join(lines[-_KEPT_LINES:]).replace(self._source.remote, self._source.shown)
        secret = self._environment.get("KRUNNER_GIT_PASS", "")
        return shown.replace(secret, "***") if secret else shown


def _split_credentials(remote: str) -> tuple[str, str, str]:
    """The remote without credentials, user and password: those in the URL, else those of the environment."""
    password = os.environ.get("GIT_PASSWORD") or os.environ.get("GIT_TOKEN") or ""
    # GitHub takes a token with any user name, GitLab with any but an empty one.
    user = os.environ.get("GIT_USERNAME") or "x-access-token"
    parts = urlsplit(remote)
    if not is_http_url(remote) or "@" not in parts.netloc:
        return remote, user, password
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, unquote(parts.username or "") or user, unquote(parts.password or "") or password


def _remove_git_folders(directory: str) -> None:
    """Remove the repository's data, and the pointers to it in submodules."""
    shutil.rmtree(os.path.join(directory, ".git"))
    for folder, _, files in os.walk(directory):
        if ".git" in files:
            os.unlink(os.path.join(folder, ".git"))


def _folder(source: GitSource, directory: str) -> str:
    top = os.path.realpath(directory)
    folder = os.path.realpath(os.path.join(top, source.folder.lstrip("/")))
    if os.path.commonpath((top, folder)) != top or not os.path.isdir(folder):
        raise ContextError(f"{source.shown} has no folder {source.folder!r}")
    return folder
