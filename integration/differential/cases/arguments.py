"""ARG and FROM: what is predefined, what is seen where, how stages are named; recorded results only."""

from __future__ import annotations

from integration.differential.cases.newer import HEAD, case

CASES = (
    case(
        "args-predefined-platform",
        "ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDOS BUILDARCH",
        "RUN echo $TARGETPLATFORM $TARGETOS $TARGETARCH [$TARGETVARIANT] $BUILDOS $BUILDARCH > /s",
    ),
    case("args-platform-not-declared", 'RUN echo "[$TARGETPLATFORM][$BUILDARCH]" > /s'),
    case(
        "args-platform-in-from",
        "RUN echo $A > /s",
        head="FROM --platform=$TARGETPLATFORM registry.test/busybox\nARG TARGETARCH\nENV A=$TARGETARCH\n",
    ),
    case("args-platform-with-own-default", "ARG TARGETARCH=mine", "ENV A=$TARGETARCH"),
    case("args-platform-overridden", "ARG TARGETARCH", "ENV A=$TARGETARCH", args={"TARGETARCH": "given"}),
    case("args-targetstage", "ARG TARGETSTAGE", "ENV A=$TARGETSTAGE"),
    case(
        "args-targetstage-named",
        "ARG TARGETSTAGE",
        "ENV A=$TARGETSTAGE",
        head="FROM registry.test/busybox AS wanted\n",
        target="wanted",
    ),
    case(
        "args-proxies",
        "RUN echo $HTTPS_PROXY $ftp_proxy $ALL_PROXY > /s; env | grep -c -i proxy >> /s",
        args={"HTTPS_PROXY": "a", "ftp_proxy": "b", "ALL_PROXY": "c"},
    ),
    case("args-proxy-declared", "ARG HTTP_PROXY", "ENV A=$HTTP_PROXY", args={"HTTP_PROXY": "p"}),
    case("args-unused", "RUN env | grep -c GIVEN > /s; true", args={"GIVEN": "1"}),
    case("args-without-value", "ARG A", 'RUN echo "[${A-unset}]" > /s'),
    case("args-empty-given", "ARG A=default", 'RUN echo "[$A]" > /s', args={"A": ""}),
    case("args-redeclared-without-default", "ARG A=1", "ARG A", "RUN echo [$A] > /s"),
    case("args-redeclared-with-default", "ARG A=1", "ARG A=2", "RUN echo [$A] > /s"),
    case("args-global-in-stage", "ARG V", "RUN echo [$V] > /s", head="ARG V=global\n" + HEAD),
    case("args-global-not-in-stage", "RUN echo [$V] > /s", head="ARG V=global\n" + HEAD),
    case("args-global-twice", "ARG V", "ENV A=$V", head="ARG V=1\nARG V=2\n" + HEAD),
    case("args-global-chain", "ARG B", "ENV A=$B", head="ARG A=a\nARG B=${A}b\nARG C=${B#a}\n" + HEAD),
    case("args-stage-inherits", "ENV A=[$X]", head="FROM registry.test/busybox AS b\nARG X=1\nFROM b\n"),
    case(
        "args-stage-inherits-given",
        "ENV A=[$X]",
        args={"X": "given"},
        head="FROM registry.test/busybox AS b\nARG X=1\nFROM b\n",
    ),
    case("args-several-with-quotes", "ARG A='a b' B=\"$A c\" C", 'RUN echo "$A|$B|$C" > /s'),
    case("args-from-env", "ENV E=env", "ARG A=$E", "RUN echo $A > /s"),
    case("args-shadow-env-of-base", "ARG BASE=mine", "ENV A=$BASE", head="FROM registry.test/layered\n"),
    case("args-in-run-env", "ARG A=1", "ENV B=2", "RUN env | grep -E '^[AB]=' | sort > /s"),
    case("args-not-in-config", "ARG SECRETISH=1", "RUN true > /s"),
    case("args-wrong-name", "ARG 1A=x", "RUN env | grep -c 1A > /s; true"),
    case("args-no-name", "ARG"),
    case("args-after-use", "RUN echo [$A] > /s", "ARG A=1"),
    case(
        "args-source-date-epoch",
        "ARG SOURCE_DATE_EPOCH",
        "RUN echo $SOURCE_DATE_EPOCH > /s",
        args={"SOURCE_DATE_EPOCH": "0"},
    ),
    case("from-default-empty", head="ARG B\nFROM ${B}\n"),
    case("from-scratch-with-arg", "COPY a /", head="ARG B=scratch\nFROM $B\n", context={"a": "a\n"}),
    case(
        "from-stage-by-arg", "ENV A=1", head="ARG B=one\nFROM registry.test/busybox AS one\nENV ONE=1\nFROM $B\n"
    ),
    case(
        "from-name-with-capital-alias",
        "COPY --from=One /f /f",
        head="FROM registry.test/busybox AS One\nRUN echo f > /f\nFROM registry.test/busybox\n",
    ),
    case("from-platform-unknown", head="FROM --platform=nonsense/none/at/all registry.test/busybox\n"),
    case("from-flag-unknown", head="FROM --nonsense registry.test/busybox\n"),
    case("from-missing-image", head="FROM registry.test/absent\n"),
    case("from-two-words", head="FROM registry.test/busybox one\n"),
    case("from-alias-wrong", head="FROM registry.test/busybox AS 1x\n"),
    case("from-alias-twice", "ENV A=1", head="FROM registry.test/busybox AS x\nFROM registry.test/layered AS x\n"),
    case("from-alias-of-image-name", "ENV A=1", head="FROM registry.test/busybox AS scratchy\nFROM scratchy\n"),
    case("from-digest-of-nothing", head="FROM registry.test/busybox@sha256:" + "0" * 64 + "\n"),
    case(
        "from-target-by-number",
        "ENV B=1",
        head="FROM registry.test/busybox\nENV A=1\nFROM registry.test/busybox\n",
        target="0",
    ),
    case("from-target-missing", target="absent"),
    case("from-target-in-capitals", "ENV A=1", head="FROM registry.test/busybox AS one\n", target="ONE"),
)
