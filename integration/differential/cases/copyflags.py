"""COPY and ADD with the flags of newer syntax: --parents, --exclude, --link, symbolic --chmod."""

from __future__ import annotations

from collections.abc import Mapping

from integration.differential.cases.newer import HEAD, case
from integration.support.builders import Case
from integration.support.recipes import Archive, Dir, File, Hardlink, Node, Symlink

_TREE: Mapping[str, Node] = {
    "a.txt": "a\n",
    "b.log": File(content="b\n", mode=0o600),
    "src": Dir(mode=0o750),
    "src/main.c": "main\n",
    "src/main.o": "object\n",
    "src/lib": Dir(mode=0o711),
    "src/lib/one.c": File(content="1\n", mode=0o444),
    "src/lib/one.o": "o\n",
    "src/lib/deep/er/two.c": "2\n",
    "src/empty": Dir(mode=0o700),
    "src/link": Symlink("main.c"),
    "src/hard": Hardlink("src/main.c"),
    "dirlink": Symlink("src"),
    "other/main.c": "other\n",
    "run.sh": File(content="#!/bin/sh\n", mode=0o755),
}


def _case(group: str, name: str, *lines: str, context: Mapping[str, Node] = _TREE, head: str = HEAD) -> Case:
    return case(f"{group}-{name}", *lines, context=context, head=head)


_STAGE = (
    "FROM registry.test/busybox AS made\n"
    "RUN mkdir -p /out/bin /out/share/doc && echo p > /out/bin/p && chmod 4755 /out/bin/p && "
    "ln -s p /out/bin/q && echo d > /out/share/doc/d && chown -R 5:6 /out/share\n" + HEAD
)

_PARENTS = (
    _case("parents", "file", "COPY --parents src/lib/one.c /d/"),
    _case("parents", "files", "COPY --parents src/lib/one.c src/main.c a.txt /d/"),
    _case("parents", "folder", "COPY --parents src/lib /d/"),
    _case("parents", "folder-with-slash", "COPY --parents src/lib/ /d/"),
    _case("parents", "to-root", "COPY --parents src/lib/deep /"),
    _case("parents", "to-workdir", "WORKDIR /w", "COPY --parents src/main.c ."),
    _case("parents", "without-slash", "COPY --parents src/main.c /d"),
    _case("parents", "wildcard", "COPY --parents src/*.c /d/"),
    _case("parents", "wildcard-folder", "COPY --parents */main.c /d/"),
    _case("parents", "double-star", "COPY --parents src/**/*.c /d/"),
    _case("parents", "pivot", "COPY --parents src/./lib/one.c /d/"),
    _case("parents", "pivot-folder", "COPY --parents src/./lib /d/"),
    _case("parents", "pivot-at-begin", "COPY --parents ./src/lib/one.c /d/"),
    _case("parents", "pivot-at-end", "COPY --parents src/lib/./ /d/"),
    _case("parents", "pivot-with-wildcard", "COPY --parents ./src/./**/*.c /d/"),
    _case("parents", "two-pivots", "COPY --parents src/./lib/./deep /d/"),
    _case("parents", "absolute", "COPY --parents /src/lib/one.c /d/"),
    _case("parents", "dots", "COPY --parents src/../src/lib/one.c /d/"),
    _case("parents", "all", "COPY --parents . /d/"),
    _case("parents", "through-link", "COPY --parents dirlink/main.c /d/"),
    _case("parents", "of-link", "COPY --parents src/link /d/"),
    _case("parents", "chown-and-chmod", "COPY --parents --chown=7:8 --chmod=640 src/lib/one.c /d/"),
    _case("parents", "onto-existing", "RUN mkdir -m 700 -p /d/src", "COPY --parents src/main.c /d/"),
    _case("parents", "from-stage", "COPY --parents --from=made /out/bin /d/", head=_STAGE),
    _case("parents", "from-stage-pivot", "COPY --parents --from=made /out/./share/doc/d /d/", head=_STAGE),
    _case("parents", "from-stage-wildcard", "COPY --parents --from=made /out/*/p /out/./share/* /d/", head=_STAGE),
    _case("parents", "with-exclude", "COPY --parents --exclude=*.o src/lib /d/"),
    _case("parents", "with-link", "COPY --parents --link src/lib/one.c /d/"),
    _case("parents", "nothing-matches", "COPY --parents nothing*/x /d/"),
    _case("parents", "missing", "COPY --parents src/missing /d/"),
    _case("parents", "add", "ADD --parents src/lib/one.c /d/"),
    _case("parents", "value-false", "COPY --parents=false src/lib/one.c /d/"),
)
_EXCLUDE = (
    _case("exclude", "one", "COPY --exclude=*.o src /d"),
    _case("exclude", "below-needs-stars", "COPY --exclude=**/*.o src /d"),
    _case("exclude", "several", "COPY --exclude=**/*.o --exclude=empty --exclude=lib/deep src /d"),
    _case("exclude", "folder", "COPY --exclude=src . /d"),
    _case("exclude", "exception", "COPY --exclude=*.c --exclude=!main.c src /d"),
    _case("exclude", "everything", "COPY --exclude=* src /d"),
    _case("exclude", "of-several-sources", "COPY --exclude=main.c src other /d/"),
    _case("exclude", "of-wildcard", "COPY --exclude=*.log *.txt *.log /d/"),
    _case("exclude", "source-itself", "COPY --exclude=a.txt a.txt run.sh /d/"),
    _case("exclude", "from-stage", "COPY --from=made --exclude=bin/q /out /d", head=_STAGE),
    _case("exclude", "from-stage-folder", "COPY --from=made --exclude=share /out /d", head=_STAGE),
    _case("exclude", "variable", "ARG WHAT=*.o", "COPY --exclude=$WHAT src /d"),
    _case("exclude", "link", "COPY --exclude=link --exclude=hard src /d"),
    _case("exclude", "add", "ADD --exclude=**/*.o src /d"),
    _case("exclude", "add-archive", "ADD --exclude=*.o t.tar /d/", context={"t.tar": Archive(files={"x.o": "x"})}),
    _case("exclude", "leading-slash", "COPY --exclude=/main.o src /d"),
    _case("exclude", "with-chmod", "COPY --exclude=lib --chmod=600 src /d"),
    _case("exclude", "empty-value", "COPY --exclude= src /d"),
)
_LINK = (
    _case("link", "file", "COPY --link a.txt /x"),
    _case("link", "folder", "COPY --link src /d/"),
    _case("link", "new-parents", "COPY --link a.txt /p/q/r/"),
    _case("link", "onto-folder-of-base", "COPY --link a.txt /opt/data/"),
    _case("link", "onto-file-of-base", "COPY --link a.txt /opt/data/old"),
    _case("link", "onto-link-of-base", "COPY --link a.txt /opt/link"),
    _case("link", "through-link-of-base", "COPY --link a.txt /opt/link/x"),
    _case("link", "workdir", "WORKDIR /w/x", "COPY --link a.txt ."),
    _case("link", "workdir-of-user", "WORKDIR /home/app", "USER app", "COPY --link a.txt sub/"),
    _case("link", "chown-number", "COPY --link --chown=12:34 a.txt src /d/"),
    _case("link", "chown-name", "COPY --link --chown=app:video a.txt /d/"),
    _case("link", "chmod", "COPY --link --chmod=4711 a.txt /d/x"),
    _case("link", "from-stage", "COPY --link --from=made /out /o", head=_STAGE),
    _case("link", "from-image", "COPY --link --from=registry.test/layered /srv/full /f"),
    _case("link", "into-home-of-base", "COPY --link a.txt /home/app/"),
    _case("link", "two-into-one", "COPY --link a.txt /d/", "COPY --link b.log /d/"),
    _case(
        "link",
        "then-run",
        "COPY --link a.txt /d/a",
        "RUN echo more >> /d/a && stat -c '%a %u %g %n' /d /d/a > /ls",
    ),
    _case("link", "add-archive", "ADD --link t.tar /opt/data/", context={"t.tar": Archive(files={"in": "in\n"})}),
    _case("link", "add-url", "ADD --link http://files.test/plain.txt /d/"),
    _case("link", "false", "COPY --link=false a.txt /opt/link/x"),
    _case("link", "on-scratch", "COPY --link src /", head="FROM scratch\n"),
    _case("link", "to-root", "COPY --link src /"),
    _case(
        "link",
        "onto-folder-by-file",
        "COPY --link a.txt /opt/data",
        "RUN cat /opt/data > /seen; ls /opt/data > /ls; true",
    ),
)
_MODES = (
    _case("chmod", "plus-x", "COPY --chmod=+x a.txt src /d/"),
    _case("chmod", "u-and-go", "COPY --chmod=u+rwx,go-rwx src /d"),
    _case("chmod", "a-equals", "COPY --chmod=a=rX src /d"),
    _case("chmod", "capital-x", "COPY --chmod=go=u-w,a+X run.sh b.log /d/"),
    _case("chmod", "go-equals-u", "COPY --chmod=go=u b.log /d/"),
    _case("chmod", "sticky-and-setgid", "COPY --chmod=g+s,+t src /d"),
    _case("chmod", "setuid", "COPY --chmod=u+s run.sh /run.sh"),
    _case("chmod", "four-digits", "COPY --chmod=2750 src /d"),
    _case("chmod", "zero", "COPY --chmod=0 a.txt /z"),
    _case("chmod", "variable", "ARG MODE=600", "COPY --chmod=$MODE a.txt /m", "COPY --chmod=${MODE} src /d"),
    _case("chmod", "add-url-symbolic", "ADD --chmod=a+x http://files.test/plain.txt /x"),
    _case("chmod", "add-archive", "ADD --chmod=600 t.tar /d/", context={"t.tar": Archive(files={"in": "in\n"})}),
    _case("chmod", "links-inside", "COPY --chmod=700 src /d"),
    _case("chmod", "wrong-octal", "COPY --chmod=999 a.txt /x"),
    _case("chmod", "wrong-word", "COPY --chmod=rwx a.txt /x"),
    _case("chmod", "too-large", "COPY --chmod=17777 a.txt /x"),
    _case("chown", "variables", "ARG WHO=app", "ENV G=video", "COPY --chown=${WHO}:$G a.txt /x"),
    _case("chown", "user-without-group", "COPY --chown=1001 a.txt /x", "COPY --chown=4242 a.txt /y"),
    _case("chown", "group-alone", "COPY --chown=:video a.txt /x"),
    _case("chown", "unknown-name", "COPY --chown=nobody-knows a.txt /x"),
    _case("chown", "unknown-group", "COPY --chown=app:nobody-knows a.txt /x"),
    _case("chown", "name-on-scratch", "COPY --chown=app a.txt /x", head="FROM scratch\n"),
    _case("chown", "number-on-scratch", "COPY --chown=1:2 a.txt /x", head="FROM scratch\n"),
    _case("chown", "of-user-made-before", "RUN echo new:x:77:78::/: >> /etc/passwd", "COPY --chown=new a.txt /x"),
    _case("chown", "root-by-name", "USER app", "COPY --chown=root a.txt /x", "COPY --chown=0:0 a.txt /y"),
    _case("chown", "mixed-number-and-name", "COPY --chown=7:video a.txt /x", "COPY --chown=app:9 a.txt /y"),
)
_OTHER = (
    _case("source", "missing", "COPY missing /x"),
    _case("source", "missing-of-two", "COPY a.txt missing /x/"),
    _case("source", "wildcard-matches-nothing", "COPY *.nothing /x/"),
    _case("source", "wildcard-and-file", "COPY *.nothing a.txt /x/"),
    _case("source", "several-without-slash", "COPY a.txt run.sh /x"),
    _case("source", "above-context", "COPY ../../a.txt /x"),
    _case("source", "folder-onto-file", "COPY src /opt/data/old"),
    _case("source", "file-onto-folder", "COPY a.txt /opt/data"),
    _case("source", "file-below-file", "COPY a.txt /opt/data/old/x"),
    _case("source", "double-star", "COPY src/**/*.c /d/"),
    _case("source", "trailing-dot", "COPY src/. /d", "COPY src/lib/.. /e"),
    _case("source", "variable-with-space", 'ARG F="a b"', "COPY ${F} /x", context={"a b": "ab\n"}),
    _case("source", "json-with-variable", 'ARG F="a b"', 'COPY ["${F}", "/x/"]', context={"a b": "ab\n"}),
    _case("source", "destination-variable-empty", "COPY a.txt /x$NOTHING/"),
    _case("source", "destination-with-dots", "WORKDIR /a/b", "COPY a.txt ../../c/../d"),
    _case("source", "from-missing-stage", "COPY --from=5 /x /x"),
    _case("source", "from-later-stage", "COPY --from=late /x /x", "FROM registry.test/busybox AS late"),
    _case("source", "from-itself", "COPY --from=0 /etc/passwd /x"),
    _case("source", "from-variable", "ARG S=made", "COPY --from=$S /out/bin /b", head=_STAGE),
    _case("source", "from-stage-missing-file", "COPY --from=made /missing /b", head=_STAGE),
    _case("source", "from-stage-relative", "COPY --from=made out/bin/p /b", head=_STAGE),
    _case("source", "from-stage-keeps-owner", "COPY --from=made /out /o", head=_STAGE),
    _case("source", "from-stage-with-dots", "COPY --from=made /out/../out/./bin/p /b", head=_STAGE),
    _case("source", "from-stage-as-user", "USER app", "COPY --from=made /out /o", head=_STAGE),
    _case("source", "flag-unknown", "COPY --nonsense a.txt /x"),
    _case("source", "flag-without-value", "COPY --chown a.txt /x"),
    _case("source", "flag-twice", "COPY --chown=1 --chown=2 a.txt /x"),
)

CASES = (*_PARENTS, *_EXCLUDE, *_LINK, *_MODES, *_OTHER)
