"""--build-context: folders, images, layouts, git and URLs in place of stages and images; recorded results only."""

from __future__ import annotations

from collections.abc import Mapping

from integration.differential.cases.newer import HEAD, case
from integration.support.builders import Case
from integration.support.recipes import Archive, Dir, File, Hardlink, Node, Symlink

_FILES: Mapping[str, Node] = {
    "a.txt": File(content="a\n", mode=0o640, uid=1234, gid=4321),
    "d": Dir(mode=0o750, uid=11, gid=12),
    "d/one": File(content="1\n", mode=0o600, uid=11, gid=12),
    "d/two.o": "2\n",
    "d/sub/deep": "deep\n",
    "d/hard": Hardlink("d/one"),
    "link": Symlink("d"),
    "away": Symlink("../../a.txt"),
    "run.sh": File(content="#!/bin/sh\necho ran > /ran\n", mode=0o755),
    "t.tar": Archive(files={"in": "in\n"}),
}
_OWN: Mapping[str, Node] = {"own": "own\n", "a.txt": "of the context\n"}
_LAYERED = "docker-image://registry.test/layered"
_SEVERAL = "docker-image://registry.test/several"


def _folder(name: str, *lines: str, head: str = HEAD, files: Mapping[str, Node] = _FILES) -> Case:
    return case(f"context-folder-{name}", *lines, head=head, context=_OWN, contexts={"files": files})


def _image(name: str, *lines: str, value: str = _LAYERED, head: str = "FROM base\n", platform: str = "") -> Case:
    return case(f"context-image-{name}", *lines, head=head, contexts={"base": value}, platform=platform)


def _layout(name: str, *lines: str, head: str = "FROM base\n", base: str = "layered") -> Case:
    return case(f"context-layout-{name}", *lines, head=head, contexts={"base": f"oci-layout://{base}"})


def _named(name: str, given: str, *lines: str, value: str = _LAYERED, head: str = HEAD) -> Case:
    return case(f"context-name-{name}", *lines, head=head, contexts={given: value})


_FOLDERS = (
    _folder("copy", "COPY --from=files . /all/"),
    _folder("copy-one", "COPY --from=files a.txt /x", "COPY a.txt /y"),
    _folder("copy-folder", "COPY --from=files d /opt/data", "COPY --from=files /d/sub/ /s/"),
    _folder("copy-through-link", "COPY --from=files link/one /x", "COPY --from=files link /l"),
    _folder("copy-link-leading-away", "COPY --from=files away /x"),
    _folder("copy-wildcard", "COPY --from=files d/*o* /w/"),
    _folder("copy-missing", "COPY --from=files missing /x"),
    _folder("copy-above", "COPY --from=files ../../d/one /x"),
    _folder("copy-chown-and-chmod", "COPY --from=files --chown=app:video --chmod=600 d /d"),
    _folder("copy-parents", "COPY --from=files --parents d/sub/deep d/./one /p/"),
    _folder("copy-exclude", "COPY --from=files --exclude=*.o d /d"),
    _folder("copy-linked", "COPY --from=files --link d /d/"),
    _folder("name-in-capitals", "COPY --from=FILES a.txt /x"),
    _folder("mount", "RUN --mount=from=files,target=/m ls /m /m/d > /ls && cat /m/d/one > /one; id -u > /id"),
    _folder("mount-source", "RUN --mount=from=files,source=d/sub,target=/m cat /m/deep > /seen"),
    _folder("mount-file-run", "RUN --mount=from=files,source=run.sh,target=/r /r"),
    _folder("mount-writable", "RUN --mount=from=files,target=/m,rw echo x > /m/new && ls /m > /ls"),
    _folder("mount-cache-from", "RUN --mount=type=cache,id=named,from=files,source=d,target=/c ls /c > /ls"),
    _folder("as-base", "ENV A=1", "COPY own /own", head="FROM files\n"),
    _folder("as-base-then-copied", "COPY --from=one /d /d", head="FROM files AS one\nENV A=1\n" + HEAD),
    _folder(
        "in-place-of-stage", "COPY --from=files /a.txt /x", head=HEAD.strip() + " AS files\nRUN false\n" + HEAD
    ),
    _folder(
        "in-place-of-stage-as-base", "ENV A=1", head=HEAD.strip() + " AS files\nENV B=1\nRUN false\nFROM files\n"
    ),
    _folder("in-place-of-target", "ENV A=1", head="FROM registry.test/busybox AS files\n"),
    _folder(
        "stage-number-is-the-stage",
        "COPY --from=0 /f /x",
        head=HEAD.strip() + " AS files\nRUN echo f > /f\n" + HEAD,
    ),
    _folder(
        "ignore-file",
        "COPY --from=files . /all/",
        files={**_FILES, ".dockerignore": "d\n!d/one\n*.tar\n"},
    ),
    _folder(
        "ignore-file-counts-for-mounts",
        "RUN --mount=from=files,target=/m ls -a /m /m/d > /ls",
        files={**_FILES, ".dockerignore": "*.txt\nd/sub\n"},
    ),
    _folder("empty", "COPY --from=files . /all/", files={}),
    _folder(
        "in-onbuild", "ENV A=1", head=HEAD.strip() + " AS one\nONBUILD COPY --from=files a.txt /x\nFROM one\n"
    ),
    _folder("add-knows-no-from", "ADD --from=files t.tar /x"),
    _folder("twice", "COPY --from=files a.txt /x", "COPY --from=files d/one /y", "RUN cat /x /y > /xy"),
    _folder("here-document-refused", "COPY --from=files <<E /x", "e", "E"),
    case("context-folder-unused", "RUN echo x > /x", contexts={"unused": _FILES}),
    case(
        "context-folder-two",
        "COPY --from=one f /1",
        "COPY --from=two f /2",
        contexts={"one": {"f": "1\n"}, "two": {"f": "2\n"}},
    ),
)
_IMAGES = (
    _image("as-base"),
    _image("as-base-and-run", "USER root", "RUN ls /srv > /listing; pwd > /pwd; echo $BASE >> /pwd"),
    _image("copy", "COPY --from=base /srv /srv", head=HEAD),
    _image("mount", "RUN --mount=from=base,target=/m ls /m/srv > /ls", head=HEAD),
    _image(
        "in-place-of-stage",
        "COPY --from=base /srv/keep /k",
        head="FROM registry.test/busybox AS base\nRUN false\n" + HEAD,
    ),
    _image(
        "in-place-of-stage-as-base", "ENV A=1", head="FROM registry.test/busybox AS base\nRUN false\nFROM base\n"
    ),
    _image("through-arg", "ENV A=1", head="ARG B=base\nFROM ${B}\n"),
    _image("onbuild-triggers", "RUN cat /flavour > /f", value="docker-image://registry.test/onbuild"),
    _image("missing", value="docker-image://registry.test/absent"),
    _image("missing-but-unused", "ENV A=1", value="docker-image://registry.test/absent", head=HEAD),
    _image("wrong-name", value="docker-image://registry.test/UPPER"),
    _image("scratch", "COPY <<E /x", "x", "E", value="docker-image://scratch"),
    _image("of-other-platform", "ENV A=1", value=_SEVERAL, platform="linux/arm64"),
    _image("platform-of-from", "ENV A=1", value=_SEVERAL, head="FROM --platform=linux/arm64 base\n"),
    _image(
        "copy-of-other-platform",
        "COPY --from=base /platform /p",
        value=_SEVERAL,
        head="FROM scratch\n",
        platform="linux/arm/v7",
    ),
    _image("alias-of-itself", "ENV A=1", head="FROM base AS base\n"),
)
_LAYOUTS = (
    _layout("as-base"),
    _layout("run", "USER root", "RUN ls /srv > /listing; echo $BASE >> /listing"),
    _layout("copy", "COPY --from=base /srv /srv", head=HEAD),
    _layout("mount", "RUN --mount=from=base,target=/m ls /m/srv > /ls", head=HEAD),
    _layout("onbuild-triggers", "ENV A=1", "RUN cat /flavour > /f; true", base="onbuild"),
    _layout(
        "in-place-of-stage",
        "COPY --from=base /srv/keep /k",
        head="FROM registry.test/busybox AS base\nRUN false\n" + HEAD,
    ),
)
_NAMES = (
    _named("tag-left-out", "thing:latest", "ENV A=1", head="FROM thing\n"),
    _named("tag-written", "thing", "ENV A=1", head="FROM thing:latest\n"),
    _named("other-tag", "registry.test/thing:1", "ENV A=1", head="FROM registry.test/thing:2\n"),
    _named("tag-is-part", "thing:1.2", "ENV A=1", head="FROM thing:1.2\n"),
    _named("docker-hub-in-full", "docker.io/library/thing", "ENV A=1", head="FROM thing\n"),
    _named("docker-hub-in-short", "thing", "ENV A=1", head="FROM docker.io/library/thing:latest\n"),
    _named("with-slash", "team/thing", "ENV A=1", head="FROM team/thing\n"),
    _named("number", "7", "COPY --from=7 /srv/keep /k"),
    _named(
        "stage-in-capitals",
        "made",
        "COPY --from=Made /srv/keep /k",
        head=HEAD.strip() + " AS Made\nRUN false\n" + HEAD,
    ),
)
_REMOTE = (
    case("context-git", "COPY --from=src . /r/", contexts={"src": "http://git.test/repo.git#v1"}),
    case("context-git-folder", "COPY --from=src . /r/", contexts={"src": "http://git.test/repo.git#v2:src"}),
    case("context-git-as-base", "ENV A=1", head="FROM src\n", contexts={"src": "http://git.test/repo.git#v1"}),
    case(
        "context-git-mount",
        "RUN --mount=from=src,target=/m ls -a /m > /ls",
        contexts={"src": "http://git.test/repo.git#v1"},
    ),
    case("context-git-missing", "COPY --from=src . /r/", contexts={"src": "http://git.test/repo.git#absent"}),
    case("context-url", "COPY --from=src . /r/", contexts={"src": "http://files.test/plain.txt"}),
    case("context-url-of-archive", "COPY --from=src . /r/", contexts={"src": "http://files.test/archive.tar.gz"}),
    case("context-url-missing", "COPY --from=src . /r/", contexts={"src": "http://files.test/missing"}),
)

CASES = (*_FOLDERS, *_IMAGES, *_LAYOUTS, *_NAMES, *_REMOTE)
