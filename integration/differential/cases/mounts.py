"""RUN --mount and --network: what a command finds, and what stays of it in the layer."""

from __future__ import annotations

from integration.support.builders import Case
from integration.support.recipes import Dir, File, Symlink

_BASE = "FROM registry.test/busybox\n"
_FILES = {
    "a.txt": File(content="a\n", mode=0o640),
    "d": Dir(mode=0o750),
    "d/b.txt": "b\n",
    "d/link": Symlink("b.txt"),
    "d/script": File(content="#!/bin/sh\n", mode=0o755),
    "hidden": "hidden\n",
    ".dockerignore": "hidden\n",
}


def _mount(name: str, text: str, equivalent: str = "") -> Case:
    equivalent = equivalent and _BASE + equivalent
    return Case(name=f"mount-{name}", dockerfile=_BASE + text, context=_FILES, equivalent=equivalent)


CASES = (
    _mount(
        "bind-context", "RUN --mount=target=/m cp -a /m /copy && stat -c '%a %u %g %n' /m /m/* /m/d/* > /seen\n"
    ),
    _mount(
        "bind-file", "RUN --mount=source=a.txt,target=/etc/new/a cat /etc/new/a > /seen && ls -l /etc/new > /ls\n"
    ),
    _mount("bind-relative", "WORKDIR /w\nRUN --mount=src=d,dst=in/d cat in/d/link > seen; ls in > ls\n"),
    _mount(
        "bind-workdir-itself", "WORKDIR /w\nRUN --mount=target=. cat d/b.txt > /seen; touch x || echo ro > /ro\n"
    ),
    _mount(
        "bind-over-files", "RUN --mount=source=d,target=/opt/data ls /opt/data > /seen\nRUN ls /opt/data > /own\n"
    ),
    _mount(
        "bind-writable",
        "RUN --mount=target=/m,rw echo more >> /m/a.txt && rm -r /m/d && touch /m/n && cat /m/a.txt > /1\n"
        "RUN --mount=target=/m cat /m/a.txt > /2; ls /m > /ls\n",
    ),
    _mount(
        "bind-through-link", "RUN ln -s /real /l && mkdir /real\nRUN --mount=target=/l/m cp /l/m/a.txt /seen\n"
    ),
    _mount("bind-makes-parents", "RUN --mount=source=a.txt,target=/x/y/z/a touch /x/y/kept\n"),
    _mount("bind-leaves-nothing", "RUN --mount=target=/x/y/z true > /done\n"),
    Case(
        name="mount-bind-named-stage",
        dockerfile="FROM registry.test/busybox AS Made\n"
        "RUN mkdir /made && echo made > /made/f && chown 5:6 /made/f\n"
        + _BASE
        + "RUN --mount=from=made,source=/made,target=/m cp -a /m /copy && stat -c '%u %g' /m/f > /seen\n"
        "RUN --mount=from=made,source=made/f,target=/f,rw echo x >> /f && cat /f > /written\n",
    ),
    _mount("bind-image", "RUN --mount=from=registry.test/layered,target=/m ls /m > /seen\n"),
    _mount(
        "bind-variable",  # the reference does not expand them yet
        "ARG where=/m\nRUN --mount=source=d,target=${where}/x ls $where/x > /seen\n",
        "ARG where=/m\nRUN --mount=source=d,target=/m/x ls $where/x > /seen\n",
    ),
    _mount(
        "cache",
        "RUN --mount=type=cache,id=diff-1,target=/c,sharing=locked echo x > /c/f; stat -c %a:%u /c > /1\n"
        "RUN --mount=type=cache,id=diff-1,target=/d/e cat /d/e/f > /2\n",
    ),
    _mount(
        "cache-owner",
        "RUN --mount=type=cache,id=diff-2,target=/c,uid=5,gid=6,mode=0750 stat -c '%a %u %g' /c > /seen\n",
    ),
    _mount(
        "cache-from",
        "RUN --mount=type=cache,id=diff-3,target=/c,from=registry.test/layered,source=etc ls /c > /seen\n",
    ),
    _mount("cache-with-own-below", "RUN --mount=type=cache,id=diff-4,target=/opt/c touch /opt/beside /opt/c/in\n"),
    _mount(
        "tmpfs",
        "RUN --mount=type=tmpfs,target=/t --mount=type=tmpfs,target=/opt/data \\\n"
        "  touch /t/x && ls /opt/data > /seen\n",
    ),
    _mount("nested", "RUN --mount=type=tmpfs,target=/t --mount=target=/t/a/b cp /t/a/b/a.txt /seen\n"),
    _mount(
        "secret-not-given",
        "RUN --mount=type=secret,id=none ls /run/secrets > /seen 2>&1; ls -d /run > /run-there 2>&1; true\n",
    ),
    _mount(  # the reference does not know the flag; it builds everything without a network
        "network-none",
        "RUN --network=none ip -o link | cut -d: -f2 > /seen; ip -o addr | grep -c 127 > /lo\n",
        "RUN ip -o link | cut -d: -f2 > /seen; ip -o addr | grep -c 127 > /lo\n",
    ),
    _mount(
        "in-history",
        "ARG A=1\nRUN --mount=target=/m --network=default cp /m/a.txt /a\nRUN --network=none echo > /b\n",
        "ARG A=1\nRUN --mount=target=/m cp /m/a.txt /a\nRUN echo > /b\n",
    ),
)
