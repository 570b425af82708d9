"""FROM in all its forms, stages, targets, COPY --from, and how a Dockerfile is read."""

from __future__ import annotations

from integration.support.builders import Case
from integration.support.recipes import File, Hardlink, Symlink

CASES = (
    Case(name="from-image", dockerfile="FROM registry.test/busybox\nENV A=1\n"),
    Case(name="from-image-with-tag", dockerfile="FROM registry.test/busybox:latest\nENV A=1\n"),
    Case(name="from-in-small-letters", dockerfile="from registry.test/busybox as x\nenv A=1\nrun echo > /a\n"),
    Case(name="from-scratch", dockerfile="FROM scratch\nCOPY a /a\n", context={"a": "a\n"}),
    Case(
        name="from-scratch-with-metadata",
        dockerfile='FROM scratch\nLABEL a=b\nCOPY a /\nUSER 1:2\nCMD ["/a"]\n',
        context={"a": ""},
    ),
    Case(name="from-layered-base", dockerfile="FROM registry.test/layered\nUSER root\nRUN ls /srv > /listing\n"),
    Case(name="from-layered-base-untouched", dockerfile="FROM registry.test/layered\nLABEL replaced=yes own=1\n"),
    Case(
        name="from-stage-by-name",
        dockerfile="""\
FROM registry.test/busybox AS base
ENV FROM_BASE=yes
WORKDIR /work
RUN echo base > base
FROM base
RUN echo $FROM_BASE > final
""",
    ),
    Case(
        name="from-stage-name-in-capitals",
        dockerfile="""\
FROM registry.test/busybox AS Base
RUN echo base > /base
FROM BASE AS Final
COPY --from=bAsE /base /copied
""",
        equivalent="""\
FROM registry.test/busybox AS base
RUN echo base > /base
FROM base
COPY --from=base /base /copied
""",
    ),
    Case(
        name="from-arg",
        dockerfile="ARG IMAGE=busybox\nARG TAG=latest\nFROM registry.test/${IMAGE}:$TAG\nRUN echo ok > /ok\n",
    ),
    Case(
        name="from-arg-given",
        dockerfile="ARG IMAGE=absent\nFROM registry.test/$IMAGE\nENV SEEN=yes\n",
        args={"IMAGE": "layered"},
    ),
    Case(
        name="from-arg-with-default-form",
        dockerfile="ARG IMAGE\nFROM registry.test/${IMAGE:-busybox}\nENV SEEN=yes\n",
    ),
    Case(
        name="from-arg-built-of-arg",
        dockerfile="ARG A=busy\nARG B=${A}box\nFROM registry.test/${B}\nENV SEEN=yes\n",
    ),
    Case(
        name="from-platform",
        dockerfile="FROM --platform=$BUILDPLATFORM registry.test/busybox AS a\nRUN echo a > /a\n"
        "FROM --platform=$TARGETPLATFORM registry.test/busybox\nCOPY --from=a /a /a\n",
    ),
    Case(
        name="copy-from-stage-name-and-number",
        dockerfile="""\
FROM registry.test/busybox AS one
RUN mkdir /out && echo one > /out/file && chmod 640 /out/file && chown 12:34 /out/file
FROM scratch
COPY --from=one /out/file /by-name
COPY --from=0 /out/file /by-number
COPY --from=0 /out /dir/
""",
    ),
    Case(
        name="copy-from-image",
        dockerfile="FROM scratch\nCOPY --from=registry.test/busybox /home/app /home\n"
        "COPY --from=registry.test/layered /srv /srv\n",
    ),
    Case(
        name="copy-from-stage-links",
        dockerfile="""\
FROM registry.test/busybox AS one
RUN mkdir -p /t/sub && cd /t && echo x > file && ln file hard && ln -s file soft && ln -s /absent dangling \
 && ln -s sub dirlink && mkfifo pipe && chmod 4755 hard && echo y > sub/y
FROM registry.test/busybox
COPY --from=one /t /t
COPY --from=one /t/soft /followed
COPY --from=one /t/dirlink /followed-dir
COPY --from=one /t/dirlink/y /through-link
""",
    ),
    Case(
        name="copy-from-stage-wildcard-and-owner",
        dockerfile="""\
FROM registry.test/busybox AS one
RUN mkdir /o && touch -d "2003-01-01 00:00:00" /o/a1 /o/a2 /o/b && chown 5:6 /o/a1
FROM registry.test/busybox
COPY --from=one /o/a* /kept/
COPY --from=one --chown=app:video /o/a* /owned/
COPY --from=one --chmod=0600 /o/ /moded/
""",
    ),
    Case(
        name="copy-from-stage-of-stage",
        dockerfile="""\
FROM registry.test/busybox AS one
RUN echo 1 > /one
FROM one AS two
RUN echo 2 > /two && rm /one
FROM two AS three
RUN echo 3 > /three
FROM scratch
COPY --from=three /two /three /
COPY --from=one /one /
""",
    ),
    Case(
        name="target-in-the-middle",
        dockerfile="FROM registry.test/busybox AS a\nENV A=1\nFROM a AS b\nENV B=1\nFROM b AS c\nRUN false\n",
        target="b",
    ),
    Case(
        name="unneeded-stage-is-not-built",
        dockerfile="FROM registry.test/busybox AS broken\nRUN false\n"
        "FROM registry.test/busybox\nRUN echo ok > /ok\n",
    ),
    Case(
        name="stage-starts-afresh",
        dockerfile="FROM registry.test/busybox\nENV A=1\nUSER app\nWORKDIR /x\n"
        'FROM registry.test/busybox\nRUN pwd > /pwd; id -u >> /pwd; echo "[$A]" >> /pwd\n',
    ),
    Case(
        name="parse-comments-and-continuations",
        dockerfile="""\
# a comment

FROM registry.test/busybox
  # an indented comment
RUN echo a \\
# a comment inside
    && echo b > /b \\

    && echo "c # not a comment" > /c
\tRUN echo tab > /tab
COPY \\
  a \\
  /from-context
""",
        context={"a": "a\n"},
    ),
    Case(
        name="parse-escape-directive",
        dockerfile="# escape=`\nFROM registry.test/busybox\nENV A=a `\n"
        " B=b DIR=C:\\x\nRUN echo one `\n && echo two > /two\n",
    ),
    Case(
        name="parse-crlf",
        dockerfile="FROM registry.test/busybox\r\nENV A=1\r\nRUN echo a > /a && \\\r\n echo b > /b\r\n",
    ),
    Case(
        name="parse-no-newline-at-end",
        dockerfile="FROM registry.test/busybox\nRUN echo end > /end",
    ),
    Case(
        name="dockerfile-of-another-name",
        dockerfile="FROM scratch\nCOPY . /context/\n",
        context={"a": "a", "sub/b": "b"},
        dockerfile_name="sub/Other.docker",
    ),
    Case(
        name="copy-same-source-twice",
        dockerfile="FROM registry.test/busybox\nCOPY d /one/\nCOPY d /two/\nCOPY d/f /one/f2\n",
        context={"d/f": File(content="f", mode=0o640), "d/h": Hardlink("d/f"), "d/s": Symlink("f")},
    ),
)
