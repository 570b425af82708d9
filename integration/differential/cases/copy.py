"""COPY from the build context."""

from __future__ import annotations

from collections.abc import Mapping

from integration.support.builders import Case
from integration.support.recipes import Dir, File, Hardlink, Node, Symlink

_TREE: Mapping[str, Node] = {
    "a.txt": "a\n",
    "b.txt": File(content="b\n", mode=0o600, uid=1234, gid=4321),
    "c.md": File(content="c\n", mode=0o755),
    "d": Dir(mode=0o750, uid=11, gid=12),
    "d/one": File(content="1\n", mode=0o644, uid=11, gid=12),
    "d/.hidden": "hidden\n",
    "d/sub": Dir(mode=0o1777),
    "d/sub/two": File(content="2\n", mode=0o4755),
    "d/empty": Dir(),
    "e": Dir(),
    "e/one": "other one\n",
}
_LINKS: Mapping[str, Node] = {
    "real/file": "real\n",
    "real/hard": Hardlink("real/file"),
    "real/soft": Symlink("file"),
    "real/up": Symlink("../top"),
    "real/absolute": Symlink("/etc/passwd"),
    "real/dangling": Symlink("nowhere"),
    "top": "top\n",
    "top2": Hardlink("top"),
    "link": Symlink("top"),
    "chain": Symlink("link"),
    "dirlink": Symlink("real"),
}
_CAPABILITY = bytes.fromhex("0100000202000000" + "00" * 12)


def _copy(name: str, *lines: str, context: Mapping[str, Node] = _TREE, equivalent: tuple[str, ...] = ()) -> Case:
    head = "FROM registry.test/busybox\n"
    return Case(
        name=f"copy-{name}",
        dockerfile=head + "\n".join(lines) + "\n",
        context=context,
        equivalent=head + "\n".join(equivalent) + "\n" if equivalent else "",
    )


CASES = (
    _copy("file", "COPY a.txt /new", "COPY a.txt /", "COPY a.txt /opt", "COPY a.txt /opt/data/old"),
    _copy("file-into-new-folders", "COPY a.txt /x/y/z/file", "COPY a.txt /p/q/"),
    _copy("modes-and-owners", "COPY b.txt c.md /kept/", "COPY d/sub/two /setuid"),
    _copy("several", "COPY a.txt b.txt d /many/"),
    _copy("folder-content", "COPY d /new", "COPY d/ /opt", "COPY d e /both/"),
    _copy("folder-onto-existing", "COPY d /opt/data"),
    _copy("folder-onto-root", "COPY d /"),
    _copy("everything", "COPY . /all", "WORKDIR /here", "COPY . ."),
    _copy("with-dots", "WORKDIR /w/x", "COPY ./a.txt ./d/../c.md ../", "COPY /d/one .", "COPY ../a.txt b"),
    _copy(
        "wildcards",
        "COPY *.txt /star/",
        "COPY ?.md /question/",
        "COPY [ab].txt /class/",
        "COPY d/* /in/",
        "COPY */one /deep/",
    ),
    _copy("wildcard-of-one", "COPY c.* /renamed", "COPY d* /folder"),
    _copy("wildcard-negated-class", "COPY [^a].txt /class/", "COPY [a-b].t?t /range/"),
    _copy(
        "json",
        'COPY ["a b", "dir with space/c d", "/spaced/"]',
        'COPY ["a b", "/x y"]',
        context={"a b": "ab\n", "dir with space/c d": "cd\n"},
    ),
    _copy("quoted-name", 'COPY "a.txt" /dest', "COPY 'a.txt' /dest2"),
    _copy(
        "unusual-names",
        "COPY . /n/",
        context={"ünï": "u", "-dash": "d", "new\nline": "n", "tr ": "t", "$x": "x", "a'b": "q"},
    ),
    _copy("bracket-name", "COPY arr[[]0].txt /", context={"arr[0].txt": "arr\n"}),
    _copy("chown-name", "COPY --chown=app a.txt /user", "COPY --chown=app:video d /opt/n"),
    _copy(
        "chown-number",
        "COPY --chown=12:34 a.txt d /n/",
        "COPY --chown=56 a.txt /one",
        "COPY --chown=1001 b.txt /known",
    ),
    _copy("chown-new-parents", "COPY --chown=12:34 a.txt /p/q/r/file", "COPY --chown=app a.txt /opt/data/x/y"),
    _copy("chown-as-other-user", "USER app", "COPY a.txt /by-app", "COPY --chown=guest a.txt /by-guest"),
    _copy("chown-onto-existing", "COPY --chown=12:34 d /opt/data", "COPY --chown=12:34 a.txt /opt/data/old"),
    _copy(
        "chmod-octal",
        "COPY --chmod=0640 a.txt c.md /n/",
        "COPY --chmod=755 d /opt/n",
        "COPY --chmod=4711 a.txt /set",
    ),
    _copy("chmod-and-chown", "COPY --chmod=600 --chown=app:staff d /home/app/d"),
    _copy(
        "chmod-symbolic",
        "COPY --chmod=u=rwX,go=rX b.txt /n/",
        "COPY --chmod=u=rwX,go=rX c.md /n/",
        "COPY --chmod=go-w,u+x a.txt /x",
        "COPY --chmod=a=r b.txt /r",
        equivalent=(
            "COPY --chmod=644 b.txt /n/",
            "COPY --chmod=755 c.md /n/",
            "COPY --chmod=744 a.txt /x",
            "COPY --chmod=444 b.txt /r",
        ),
    ),
    _copy(
        "onto-link-to-folder",
        "COPY a.txt /opt/link/",
        "COPY a.txt /opt/link/b",
        "COPY d /opt/link",
        "COPY a.txt /var/run/x",
    ),
    _copy(
        "onto-link-to-file", "RUN ln -s /opt/data/old /to-file && ln -s /absent /to-nothing", "COPY a.txt /to-file"
    ),
    _copy("replaces-file-with-folder", "COPY d /opt/n", "COPY e/one /opt/n/empty/x", "COPY a.txt /opt/n/one"),
    _copy("replaces-hard-linked-file", "RUN echo x > /x && ln /x /y", "COPY a.txt /x"),
    _copy(
        "source-link-is-followed", "COPY link /link", "COPY chain /chain", "COPY dirlink /dirlink", context=_LINKS
    ),
    _copy("links-inside-folder-are-kept", "COPY real /real", "COPY . /all", context=_LINKS),
    _copy("through-source-link", "COPY dirlink/file /file", context=_LINKS),
    _copy("wildcard-meets-links", "COPY *ink* /links/", context=_LINKS),
    _copy("hard-links", "COPY top top2 /two/", "COPY real /r", context=_LINKS),
    _copy(
        "capability",
        "COPY program /program",
        "COPY . /all",
        context={"program": File(content="p", mode=0o755, xattrs={"security.capability": _CAPABILITY})},
    ),
    _copy(
        "user-xattr",
        "COPY program /program",
        context={
            "program": File(content="p", mode=0o755, xattrs={"user.note": b"kept", "user.binary": b"\x00\xff"})
        },
    ),
    _copy(
        "keeps-times",
        "COPY . /t/",
        context={"old": File(content="o", mtime=1), "epoch": File(mtime=0), "new": File(mtime=1_400_000_000)},
    ),
    _copy("times-of-unchanged-base", "COPY a.txt /opt/data/"),
    _copy("twice", "COPY a.txt /x", "COPY c.md /x", "COPY d /y", "COPY e /y"),
    _copy("empty-folder", "COPY empty /e", "COPY . /all", context={"empty": Dir(mode=0o711)}),
    _copy("into-workdir-of-user", "WORKDIR /home/app", "USER app", "COPY a.txt .", "COPY a.txt sub/"),
    _copy("after-run-as-user", "USER app", "RUN echo r > /tmp/r", "COPY a.txt /tmp/"),
    _copy(
        "large-file",
        "COPY large /large",
        context={"large": File(content=b"0123456789abcdef" * 300_000, mode=0o444)},
    ),
    _copy("many-files", "COPY . /many", context={f"d{n % 7}/f{n}": f"{n}\n" for n in range(300)}),
)
