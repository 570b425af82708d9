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
import time
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit, urlunsplit

from executor import hangup
from executor.context.giturl import GitSource, is_commit
from executor.context.http import is_http_url
from executor.dataclass import dataclass
from executor.errors import ContextError
from executor.events import Noted, Sink
from executor.ownroot import own_root

_PART_OF_COMMIT = re.compile(r"[0-9a-f]{4,63}")
_SECONDS = 900
_LOOK_UP_SECONDS = 0.1  # how often, while git works, somebody looks whether this process is being stopped
_DIRECTORY_MODE = 0o755
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$KRUNNER_GIT_USER" "$KRUNNER_GIT_PASS"; }; f'
)
_KEPT_LINES = 5
_NOT_FOR_GIT = (
    *("GIT_TOKEN", "GIT_USERNAME", "GIT_PASSWORD", "GIT_ASKPASS", "SSH_ASKPASS"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"),
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The folder with the files of a commit, and when that was made, in seconds of the epoch."""

    folder: str
    made: int


def clone(source: GitSource, directory: str, sink: Sink) -> Checkout:
    """Fetch `source` into the empty `directory`.

    Raises ContextError when git is missing, the repository or the ref cannot be had, or there is no such folder.
    """
    if shutil.which("git") is None:
        raise ContextError(f"{source.shown} needs the git command, which is not installed", hint="install git")
    if source.ref.startswith("-") or source.remote.startswith("-"):
        raise ContextError(f"{source.shown}: a repository or ref cannot begin with '-'")
    git = _Git(source, directory)
    git.run("init", "--quiet", "--initial-branch=main")
    git.run("remote", "add", "origin", git.remote)
    wanted = git.resolve()
    commit = git.fetch(wanted.name)
    if not any(name.startswith(source.commit) for name in (commit, wanted.object)):
        raise ContextError(f"{source.shown} is at the commit {commit}, not {source.commit}")
    git.run("checkout", "--quiet", "--detach", commit)
    if source.submodules and os.path.lexists(os.path.join(directory, ".gitmodules")):
        git.run("submodule", "update", "--init", "--recursive", "--depth=1", "--quiet")
    made = git.commit_time(commit)
    if not source.keep_git_dir:
        _remove_git_folders(directory)
    os.chmod(directory, _DIRECTORY_MODE)
    if source.commit_times:
        _set_times(directory, made)
    sink(Noted(message=f"fetched {source.shown} at {commit}"))
    return Checkout(_folder(source, directory), made)


def commit_of(source: GitSource, directory: str) -> str:
    """The commit that `source` means now, asked of the remote from the empty `directory`; nothing is fetched.

    Raises ContextError when the remote does not tell.
    """
    if source.ref.startswith("-") or source.remote.startswith("-"):
        raise ContextError(f"{source.shown}: a repository or ref cannot begin with '-'")
    return _Git(source, directory).resolve().commit


@dataclass(frozen=True, slots=True)
class _Ref:
    """A ref of the remote: its full name, the object that it points to, and the commit, which an annotated tag
    is not itself."""

    name: str
    object: str
    commit: str


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

    def resolve(self) -> _Ref:
        """Where the wanted ref is. Of a branch and a tag of one name it is the branch, as with BuildKit."""
        source = self._source
        ref = source.commit if source.by_commit and is_commit(source.commit) else source.ref or "HEAD"
        if is_commit(ref):
            return _Ref(ref, ref, ref)
        lines = self.run("ls-remote", self.remote, ref, f"{ref}^{{}}").splitlines()
        found = {name: object_id for object_id, _, name in (line.partition("\t") for line in lines)}
        bare = ref.removeprefix("refs/")
        names = (
            f"refs/{bare}",
            f"refs/heads/{ref.removeprefix('refs/heads/')}",
            f"refs/tags/{ref.removeprefix('refs/tags/')}",
            *(["HEAD"] if ref == "HEAD" else []),
        )
        for name in names:
            if name in found:
                return _Ref(name, found[name], found.get(f"{name}^{{}}", found[name]))
        hint = "a commit needs all of its digits" if _PART_OF_COMMIT.fullmatch(ref) else ""
        raise ContextError(f"{source.shown} has no branch, tag or ref {ref!r}", hint=hint)

    def fetch(self, ref: str) -> str:
        """Fetch `ref` alone, or all when the server gives single commits only that way; its commit."""
        try:
            self.run("fetch", "--quiet", "--depth=1", "--no-tags", "origin", ref)
        except ContextError:
            if not is_commit(ref):
                raise
            self.run("fetch", "--quiet", "--tags", "origin")
            return self._commit(ref)
        return self._commit("FETCH_HEAD")

    def commit_time(self, commit: str) -> int:
        """When `commit` was made, in seconds of the epoch."""
        return int(self.run("show", "--no-patch", "--format=%ct", commit))

    def _commit(self, name: str) -> str:
        return self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()

    def run(self, *arguments: str) -> str:
        """Run git and return what it wrote. Raises ContextError with the end of its messages.

        Raises StoppedError, and ends git, once this process is being stopped.
        """
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
                output, messages = _both_streams(process)
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


def _both_streams(process: subprocess.Popen[str]) -> tuple[str, str]:
    """All that `process` writes. Raises TimeoutExpired after _SECONDS, StoppedError once we are being stopped.

    A thread that waits for git does not hear of a signal: only the main thread does.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return process.communicate(timeout=_LOOK_UP_SECONDS)
        except subprocess.TimeoutExpired:
            hangup.check()
            if time.monotonic() > deadline:
                raise


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


def _set_times(directory: str, seconds: int) -> None:
    """Give everything in `directory`, and itself, the modification time `seconds`."""
    for folder, folders, files in os.walk(directory, topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(folder, name), (seconds, seconds), follow_symlinks=False)
    os.utime(directory, (seconds, seconds))


def _folder(source: GitSource, directory: str) -> str:
    top = os.path.realpath(directory)
    folder = os.path.realpath(os.path.join(top, source.folder.lstrip("/")))
    if os.path.commonpath((top, folder)) != top or not os.path.isdir(folder):
        raise ContextError(f"{source.shown} has no folder {source.folder!r}")
    return folder
