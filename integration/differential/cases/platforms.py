"""--platform, FROM --platform and the arguments that tell of platforms; RUN --device; recorded results only."""

from __future__ import annotations

from collections.abc import Mapping

from integration.differential.cases.newer import HEAD, case
from integration.support.builders import Case

_SEVERAL = "FROM registry.test/several\n"
_ARGS = (
    *("TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT"),
    *("BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"),
)
_SHOW = (*(f"ARG {name}" for name in _ARGS), *(f"ENV SHOWN_{name}=[${name}]" for name in _ARGS))
_BY_ARCHITECTURE = (
    "FROM scratch AS base-amd64\nENV ARCH=amd64\nFROM scratch AS base-arm64\nENV ARCH=arm64\n"
    "FROM scratch AS base-arm\nENV ARCH=arm\n"
)


def _for(
    name: str, platform: str, *lines: str, head: str = _SEVERAL, args: Mapping[str, str] | None = None
) -> Case:
    return case(f"platform-{name}", *lines, head=head, platform=platform, args=args)


_ASKED = (
    _for("of-the-machine", "linux/amd64", *_SHOW),
    _for("arm64", "linux/arm64", *_SHOW),
    _for("arm64-v8", "linux/arm64/v8", *_SHOW),
    _for("arm-v7", "linux/arm/v7", *_SHOW),
    _for("arm", "linux/arm", *_SHOW),
    _for("arm-v6", "linux/arm/v6", *_SHOW),
    _for("arm-v8", "linux/arm/v8", *_SHOW),
    _for("amd64-v2", "linux/amd64/v2", *_SHOW),
    _for("alias-aarch64", "linux/aarch64", *_SHOW),
    _for("alias-x86-64", "linux/x86_64", *_SHOW),
    _for("alias-armhf", "linux/armhf", *_SHOW),
    _for("architecture-alone", "arm64", *_SHOW),
    _for("system-alone", "linux", *_SHOW),
    _for("in-capitals", "Linux/ARM64", *_SHOW),
    _for("absent-from-index", "linux/s390x", *_SHOW),
    _for("of-windows", "windows/amd64", "ENV A=1"),
    _for("four-parts", "linux/arm/v7/x", "ENV A=1"),
    _for("nonsense", "nonsense", "ENV A=1"),
    _for("on-scratch", "linux/s390x", *_SHOW, head="FROM scratch\n"),
    _for("on-scratch-with-variant", "linux/arm/v6", *_SHOW, head="FROM scratch\n"),
    _for("on-scratch-386", "linux/386", *_SHOW, head="FROM scratch\n"),
    _for("of-image-of-another", "linux/arm64", "ENV A=1", head=HEAD),
)
_OF_FROM = (
    case("platform-from-literal", "ENV A=1", head="FROM --platform=linux/arm64 registry.test/several\n"),
    case("platform-from-literal-with-args", *_SHOW, head="FROM --platform=linux/arm64 registry.test/several\n"),
    case("platform-from-variant", "ENV A=1", head="FROM --platform=linux/arm/v7 registry.test/several\n"),
    case("platform-from-absent", "ENV A=1", head="FROM --platform=linux/riscv64 registry.test/several\n"),
    case("platform-from-scratch", "ENV A=1", head="FROM --platform=linux/ppc64le scratch\n"),
    case("platform-from-empty", "ENV A=1", head="FROM --platform= registry.test/several\n"),
    case("platform-from-unset", "ENV A=1", head="FROM --platform=$NOTHING registry.test/several\n"),
    case("platform-from-quoted", "ENV A=1", head='FROM --platform="linux/arm64" registry.test/several\n'),
    case("platform-from-arg", "ENV A=1", head="ARG P=linux/arm64\nFROM --platform=$P registry.test/several\n"),
    case(
        "platform-from-arg-given",
        "ENV A=1",
        head="ARG P\nFROM --platform=${P:-linux/arm64} registry.test/several\n",
        args={"P": "linux/arm/v7"},
    ),
    case(
        "platform-from-parts",
        "ENV A=1",
        head="ARG TARGETOS\nARG TARGETARCH\nFROM --platform=$TARGETOS/$TARGETARCH registry.test/several\n",
    ),
    _for("from-build", "linux/arm64", *_SHOW, head="FROM --platform=$BUILDPLATFORM registry.test/several\n"),
    _for("from-target", "linux/arm64", *_SHOW, head="FROM --platform=$TARGETPLATFORM registry.test/several\n"),
    _for(
        "from-build-default",
        "linux/arm64",
        "ENV A=1",
        head="FROM --platform=${BUILDPLATFORM:-linux/amd64} registry.test/several\n",
    ),
    _for("from-arg-of-name", "linux/arm64", *_SHOW, head=_BY_ARCHITECTURE + "FROM base-$TARGETARCH\n"),
    _for("from-arg-of-name-arm", "linux/arm/v7", *_SHOW, head=_BY_ARCHITECTURE + "FROM base-${TARGETARCH}\n"),
    _for(
        "from-arg-declared-first",
        "linux/arm64",
        "ENV A=1",
        head="ARG TARGETARCH\n" + _BY_ARCHITECTURE + "FROM base-${TARGETARCH}\n",
    ),
    _for(
        "from-arg-with-own-default",
        "linux/arm64",
        "ENV A=1",
        head="ARG TARGETARCH=amd64\n" + _BY_ARCHITECTURE + "FROM base-${TARGETARCH}\n",
    ),
    _for(
        "from-arg-given-by-user",
        "linux/arm64",
        "ENV A=1",
        head=_BY_ARCHITECTURE + "FROM base-${TARGETARCH}\n",
        args={"TARGETARCH": "amd64"},
    ),
)
_STAGES = (
    _for(
        "stage-of-build-copied",
        "linux/arm64",
        "COPY --from=build /made /made",
        head="FROM --platform=$BUILDPLATFORM registry.test/busybox AS build\n"
        "ARG TARGETARCH TARGETPLATFORM BUILDARCH\n"
        "RUN echo $TARGETARCH $TARGETPLATFORM $BUILDARCH > /made\n" + _SEVERAL,
    ),
    _for("stage-of-stage", "linux/arm64", *_SHOW, head=_SEVERAL.strip() + " AS one\nENV ONE=1\nFROM one\n"),
    _for(
        "stage-of-build-continued",
        "linux/arm64",
        *_SHOW,
        head="FROM --platform=$BUILDPLATFORM registry.test/several AS one\nENV ONE=1\nFROM one\n",
    ),
    _for(
        "stage-continued-for-another",
        "linux/amd64",
        *_SHOW,
        head="FROM --platform=linux/arm64 registry.test/several AS one\nENV ONE=1\n"
        "FROM --platform=linux/amd64 one\n",
    ),
    _for(
        "copy-from-image", "linux/arm64", "COPY --from=registry.test/several /platform /p", head="FROM scratch\n"
    ),
    _for(
        "copy-from-image-in-stage-of-build",
        "linux/arm64",
        "COPY --from=registry.test/several /platform /p",
        head="FROM --platform=$BUILDPLATFORM scratch\n",
    ),
    _for(
        "mount-from-image",
        "linux/arm64",
        "RUN --mount=from=registry.test/several,target=/m cp /m/platform /p",
        head="FROM --platform=$BUILDPLATFORM registry.test/busybox\n",
    ),
    _for("copy-chown-by-name", "linux/arm64", "COPY --chown=app <<E /x", "x", "E", "WORKDIR /w"),
    _for("add-archive", "linux/arm64", "ADD http://files.test/plain.txt /x", "USER app", "WORKDIR /home/app/w"),
    _for("arg-platform-overridden", "linux/arm64", *_SHOW, args={"TARGETPLATFORM": "linux/x", "BUILDARCH": "y"}),
    _for(
        "arg-in-onbuild",
        "linux/arm64",
        "ENV B=1",
        head=_SEVERAL.strip() + " AS one\nONBUILD ARG TARGETARCH\nONBUILD ENV A=$TARGETARCH\nFROM one\n",
    ),
)
_DEVICES = (
    case("device-optional", "RUN --device=vendor.example/class=name echo x > /x"),
    case("device-optional-written", "RUN --device=name=vendor.example/class=name,required=false echo x > /x"),
    case("device-required", "RUN --device=vendor.example/class=name,required echo x > /x"),
    case("device-required-true", "RUN --device=name=vendor.example/class=name,required=true echo x > /x"),
    case("device-class-alone", "RUN --device=vendor.example/class echo x > /x"),
    case("device-all", "RUN --device=vendor.example/class=* echo x > /x"),
    case("device-two", "RUN --device=a.example/c=n --device=b.example/c=n echo x > /x"),
    case("device-variable", "ARG D=vendor.example/class=name", "RUN --device=$D echo x > /x"),
    case("device-wrong-required", "RUN --device=vendor.example/class=name,required=maybe echo x > /x"),
    case("device-unknown-key", "RUN --device=vendor.example/class=name,nonsense=1 echo x > /x"),
    case("device-named-twice", "RUN --device=vendor.example/class=name,name=other echo x > /x"),
    case("device-empty", "RUN --device= echo x > /x"),
    case("device-not-qualified", "RUN --device=gpu echo x > /x"),
)

CASES = (*_ASKED, *_OF_FROM, *_STAGES, *_DEVICES)
