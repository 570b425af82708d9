"""ARG and ENV: scope, precedence, quoting, and every `${…}` form."""

from __future__ import annotations

from integration.support.builders import Case

_SHOW = 'RUN echo "[$A][$B][$C]" > /seen\n'

CASES = (
    Case(name="env-forms", dockerfile="FROM registry.test/busybox\nENV A=1 B=two\nENV C three and four\n" + _SHOW),
    Case(
        name="env-quoting",
        dockerfile="""\
FROM registry.test/busybox
ENV A="a b" B='c d' C=e\\ f
ENV D="x\\"y" E='x"y' F=a"b"c'd' G=\\$A H='$A' I="\\$A" J="a\\\\b" K=$$ L="it's"
RUN env | grep -E '^[A-L]=' | sort > /seen
""",
    ),
    Case(
        name="env-of-earlier-values",
        dockerfile="FROM registry.test/busybox\nENV A=1\nENV A=2 B=$A\nENV C=$A$B${A}x\n" + _SHOW,
    ),
    Case(
        name="env-over-lines",
        dockerfile='FROM registry.test/busybox\nENV A=1 \\\n    B="two \\\nlines" \\\n    C=3\n' + _SHOW,
    ),
    Case(
        name="env-colon-forms",
        dockerfile="""\
FROM registry.test/busybox
ENV SET=value EMPTY=
ENV A=${SET:-d} B=${EMPTY:-d} C=${UNSET:-d} D=${SET:+a} E=${EMPTY:+a} F=${UNSET:+a}
ENV G=${UNSET:-$SET} H=${UNSET:-${SET}x} I=${UNSET:-} J="${UNSET:-a b}" K=$UNSET L=${SET}${UNSET}
""",
    ),
    Case(
        name="env-plain-forms",
        dockerfile="""\
FROM registry.test/busybox
ENV SET=value EMPTY=
ENV A=${SET-d} B=${EMPTY-d} C=${UNSET-d} D=${SET+a} E=${EMPTY+a} F=${UNSET+a}
""",
        equivalent="""\
FROM registry.test/busybox
ENV SET=value EMPTY=
ENV A=value B= C=d D=a E=a F=
""",
    ),
    Case(
        name="env-pattern-forms",
        dockerfile="""\
FROM registry.test/busybox
ENV P=a.b.c.tar.gz Q=foobarfoo
ENV A=${P#*.} B=${P##*.} C=${P%.*} D=${P%%.*} E=${Q/foo/X} F=${Q//foo/X} G=${P#z} H=${Q/o?b/-} I=${UNSET#x}
""",
        equivalent="""\
FROM registry.test/busybox
ENV P=a.b.c.tar.gz Q=foobarfoo
ENV A=b.c.tar.gz B=gz C=a.b.c.tar D=a E=Xbarfoo F=XbarX G=a.b.c.tar.gz H=f-arfoo I=
""",
    ),
    Case(
        name="env-required-form",
        dockerfile='FROM registry.test/busybox\nENV SET=v\nENV A=${SET:?needed} B="${SET?is needed}"\n',
        equivalent="FROM registry.test/busybox\nENV SET=v\nENV A=v B=v\n",
    ),
    Case(
        name="env-extends-path",
        dockerfile="FROM registry.test/busybox\nENV PATH=/opt/bin:$PATH\nRUN echo $PATH > /path\n",
    ),
    Case(name="env-replaces", dockerfile="FROM registry.test/layered\nENV BASE=mine NEW=1\nENV NEW=2\n"),
    Case(
        name="env-is-not-special-in-run",
        dockerfile="FROM registry.test/busybox\nENV A='$B' B=b\nRUN echo $A ${B%b}c $(echo sub) > /seen\n",
    ),
    Case(name="arg-default", dockerfile="FROM registry.test/busybox\nARG A=1\nARG B\nARG C=\n" + _SHOW),
    Case(
        name="arg-given",
        dockerfile="FROM registry.test/busybox\nARG A=1\nARG B\nARG C=3\n" + _SHOW,
        args={"A": "x y", "B": "", "C": "$A"},
    ),
    Case(
        name="arg-several-in-one",
        dockerfile='FROM registry.test/busybox\nARG A=1 B="b b" C\n' + _SHOW,
        args={"C": "3"},
    ),
    Case(name="arg-uses-arg", dockerfile="FROM registry.test/busybox\nARG A=1\nARG B=${A}2\nENV C=$B$A\n" + _SHOW),
    Case(
        name="arg-before-declaration",
        dockerfile="FROM registry.test/busybox\nENV B=[$A]\nARG A=1\nENV C=[$A]\n" + _SHOW,
    ),
    Case(
        name="arg-not-declared",
        dockerfile="FROM registry.test/busybox\nENV B=[$A]\n" + _SHOW,
        args={"A": "given"},
    ),
    Case(
        name="arg-global-needs-declaration",
        dockerfile="ARG A=global\nARG B=global\nARG C=global\nFROM registry.test/busybox\nARG A\nARG B=own\n"
        + _SHOW,
    ),
    Case(
        name="arg-global-given",
        dockerfile="ARG A=global\nARG B=global\nFROM registry.test/busybox\nARG A\nARG B=own\n" + _SHOW,
        args={"A": "given", "B": "given"},
    ),
    Case(
        name="arg-ends-with-its-stage",
        dockerfile="FROM registry.test/busybox AS one\nARG A=1\n" + _SHOW + "FROM one\nENV B=[$A]\n" + _SHOW,
    ),
    Case(
        name="arg-of-another-stage",
        dockerfile="FROM registry.test/busybox AS one\nARG A=1\nRUN echo > /o\nFROM registry.test/busybox\n"
        "COPY --from=one /o /o\n" + _SHOW,
        args={"A": "given"},
    ),
    Case(
        name="env-wins-over-arg",
        dockerfile="FROM registry.test/busybox\nENV A=env\nARG A=arg\nARG B=arg\nENV B=env\n" + _SHOW,
        args={"A": "given", "B": "given"},
    ),
    Case(name="env-from-arg", dockerfile="FROM registry.test/busybox\nARG A=1\nENV A=${A:-default}\n" + _SHOW),
    Case(
        name="arg-proxy-needs-no-declaration",
        dockerfile='FROM registry.test/busybox\nRUN echo "$HTTP_PROXY $no_proxy" > /seen\nENV B=[$HTTP_PROXY]\n',
        args={"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "*"},
    ),
    Case(
        name="arg-platform",
        dockerfile="FROM registry.test/busybox\nARG TARGETOS\nARG TARGETARCH\nARG BUILDPLATFORM\n"
        'ENV A="$TARGETOS/$TARGETARCH" B="$BUILDPLATFORM" C="[$TARGETPLATFORM]"\n' + _SHOW,
    ),
    Case(
        name="variables-in-every-instruction",
        dockerfile="""\
FROM registry.test/busybox
ARG SRC=a
ARG WHO=app
ENV DIR=/dir PORT=81 KEY=key NUMBER=5
COPY $SRC ${DIR}/copied
COPY --chown=$WHO:${WHO} $SRC $DIR/owned
ADD ${SRC} $DIR/added
WORKDIR ${DIR}/sub
LABEL $KEY=$PORT "q$KEY"="v ${DIR}"
EXPOSE $PORT ${PORT}0/udp
VOLUME $DIR/volume
VOLUME ["$DIR/json"]
STOPSIGNAL $NUMBER
USER ${WHO}
CMD echo $DIR
ENTRYPOINT ["$DIR"]
""",
        context={"a": "a\n"},
    ),
    Case(
        name="single-quotes-keep-variables",
        dockerfile="FROM registry.test/busybox\nENV A=1\nLABEL x='$A' y=\"$A\" z=\\$A\nWORKDIR '/w$A'\n",
    ),
)
