"""ADD from git and HTTP, with checksums, --unpack and --keep-git-dir: recorded results only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from integration.differential.cases.newer import HEAD, case
from integration.support.builders import Case
from integration.support.recipes import Archive, Dir, File, Node

_SUM = hashlib.sha256(b"downloaded\n").hexdigest()
_WRONG = hashlib.sha256(b"else\n").hexdigest()
_REPO = "http://git.test/repo.git"
_TAR: Mapping[str, Node] = {
    "t.tar.gz": Archive(
        files={"d": Dir(mode=0o750, uid=3, gid=4), "d/f": File(content="f\n", mode=0o600, uid=5, gid=6)},
        compression="gz",
    ),
    "plain": "plain\n",
}


def _add(name: str, *lines: str, head: str = HEAD) -> Case:
    return case(f"addition-{name}", *lines, context=_TAR, head=head)


CASES = (
    _add("checksum", f"ADD --checksum=sha256:{_SUM} http://files.test/plain.txt /x"),
    _add("checksum-wrong", f"ADD --checksum=sha256:{_WRONG} http://files.test/plain.txt /x"),
    _add("checksum-not-a-digest", "ADD --checksum=sha256:abc http://files.test/plain.txt /x"),
    _add("checksum-other-algorithm", "ADD --checksum=md5:00 http://files.test/plain.txt /x"),
    _add("checksum-of-local-file", f"ADD --checksum=sha256:{_SUM} plain /x"),
    _add("checksum-of-two", f"ADD --checksum=sha256:{_SUM} http://files.test/plain.txt plain /d/"),
    _add("checksum-variable", f"ARG S=sha256:{_SUM}", "ADD --checksum=$S http://files.test/plain.txt /x"),
    _add("url-last-modified", "ADD http://files.test/old.txt /old", "ADD http://files.test/plain.txt /d/"),
    _add("url-missing", "ADD http://files.test/missing /x"),
    _add("url-variable", "ARG N=plain", "ADD http://files.test/${N}.txt /x"),
    _add("url-into-workdir", "WORKDIR /w", "ADD http://files.test/plain.txt ."),
    _add("url-with-query", "ADD http://files.test/plain.txt?v=1 /d/"),
    _add("url-without-a-name", "ADD http://files.test/ /d/"),
    _add("url-onto-folder", "ADD http://files.test/plain.txt /opt/data"),
    _add("url-as-user", "USER app", "ADD http://files.test/plain.txt /x"),
    _add("url-on-scratch", "ADD http://files.test/plain.txt /", head="FROM scratch\n"),
    _add("url-two", "ADD http://files.test/plain.txt http://files.test/old.txt /d/"),
    _add("url-two-without-slash", "ADD http://files.test/plain.txt http://files.test/old.txt /d"),
    _add("url-by-copy", "COPY http://files.test/plain.txt /x"),
    _add("unpack-url", "ADD --unpack=true http://files.test/archive.tar.gz /u/"),
    _add("unpack-url-uncompressed", "ADD --unpack http://files.test/archive.tar /u/"),
    _add("unpack-url-false", "ADD --unpack=false http://files.test/archive.tar.gz /u/"),
    _add("unpack-local", "ADD --unpack=true t.tar.gz /u/"),
    _add("unpack-local-false", "ADD --unpack=false t.tar.gz /u/"),
    _add("unpack-plain-file", "ADD --unpack=true plain /u/"),
    _add("unpack-with-chown", "ADD --unpack=true --chown=12:34 http://files.test/archive.tar.gz /u/"),
    _add("unpack-by-copy", "COPY --unpack=true t.tar.gz /u/"),
    _add("git", f"ADD {_REPO} /r"),
    _add("git-tag", f"ADD {_REPO}#v1 /r"),
    _add("git-branch", f"ADD {_REPO}#main /r"),
    _add("git-folder", f"ADD {_REPO}#v1:src /r"),
    _add("git-folder-of-default", f"ADD {_REPO}#:src /r/"),
    _add("git-deep-folder", f"ADD {_REPO}#v2:src/deep /r/"),
    _add("git-query", f"ADD {_REPO}?tag=v1&subdir=src /r"),
    _add("git-query-branch", f"ADD {_REPO}?branch=main /r"),
    _add("git-full-reference", f"ADD {_REPO}#refs/tags/v1 /r"),
    _add("git-missing-reference", f"ADD {_REPO}#absent /r"),
    _add("git-missing-folder", f"ADD {_REPO}#v1:absent /r"),
    _add("git-chown", f"ADD --chown=12:34 {_REPO}#v1 /r"),
    _add("git-chmod", f"ADD --chmod=700 {_REPO}#v1 /r"),
    _add("git-exclude", f"ADD --exclude=src {_REPO}#v1 /r"),
    _add("git-link", f"ADD --link {_REPO}#v1 /r"),
    _add("git-variable", "ARG T=v1", f"ADD {_REPO}#$T /r"),
    _add("git-beside-file", f"ADD {_REPO}#v1 plain /r/"),
    _add("git-keep-git-dir", f"ADD --keep-git-dir=true {_REPO}#v1 /r", "RUN test -d /r/.git && rm -r /r/.git"),
    _add("git-keep-git-dir-false", f"ADD --keep-git-dir=false {_REPO}#v1 /r"),
    _add("git-into-workdir", "WORKDIR /w", f"ADD {_REPO}#v1 ."),
    _add("git-by-copy", f"COPY {_REPO} /r"),
    _add("copy-with-checksum", f"COPY --checksum=sha256:{_SUM} plain /x"),
    _add("copy-with-keep-git-dir", "COPY --keep-git-dir=true plain /x"),
    _add("git-on-scratch", f"ADD {_REPO}#v1 /", head="FROM scratch\n"),
)
