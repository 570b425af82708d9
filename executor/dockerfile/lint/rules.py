"""The table of rules; docs/lint.md is made from it."""

from __future__ import annotations

from collections.abc import Mapping

from executor.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. `summary` ends a sentence that begins with its name; `why` is for the documentation.

    `bad` and `good` are Dockerfiles: the first breaks the rule, the second says the same without breaking any.
    `experimental`: it counts only for those who ask for it.
    """

    name: str
    summary: str
    why: str
    bad: str
    good: str
    experimental: bool = False


_ALL = (
    Rule(
        name="ConsistentInstructionCasing",
        summary="All instructions are written in the same case",
        why="Mixed case reads as if it meant something. The case of the majority counts.",
        bad='FROM scratch\ncopy a /\nCMD ["/a"]\n',
        good='FROM scratch\nCOPY a /\nCMD ["/a"]\n',
    ),
    Rule(
        name="CopyIgnoredFile",
        summary="COPY and ADD name no file that .dockerignore excludes",
        why="Such a file is not in the context, so the build fails. Not checked if it has `!` patterns.",
        bad="# .dockerignore: *.log\nFROM scratch\nCOPY build.log /\n",
        good="FROM scratch\nCOPY build.txt /\n",
    ),
    Rule(
        name="DuplicateStageName",
        summary="Each stage has a name of its own",
        why="FROM and COPY --from find the last stage of a name; the others cannot be meant.",
        bad="FROM busybox AS a\nFROM scratch AS a\n",
        good="FROM busybox AS a\nFROM scratch AS b\n",
    ),
    Rule(
        name="ExposeInvalidFormat",
        summary="EXPOSE names ports, without an address or a port of the host",
        why="What a host maps is said when the container is started.",
        bad="FROM scratch\nEXPOSE 127.0.0.1:80:80\n",
        good="FROM scratch\nEXPOSE 80\n",
    ),
    Rule(
        name="ExposeProtoCasing",
        summary="The protocol of EXPOSE is in lower case",
        why="Tools compare it by its letters.",
        bad="FROM scratch\nEXPOSE 80/TCP\n",
        good="FROM scratch\nEXPOSE 80/tcp\n",
    ),
    Rule(
        name="FromAsCasing",
        summary="AS has the case of its FROM",
        why="It is one instruction.",
        bad="FROM scratch as a\n",
        good="FROM scratch AS a\n",
    ),
    Rule(
        name="FromPlatformFlagConstDisallowed",
        summary="FROM --platform has no constant value",
        why="The stage would be of that platform whichever is asked for. Allowed where the stage's name says it.",
        bad="FROM --platform=linux/amd64 busybox\n",
        good="FROM --platform=$BUILDPLATFORM busybox\n",
    ),
    Rule(
        name="InvalidBaseImagePlatform",
        summary="The base image is of the platform that is asked for",
        why="An image that is no index is taken as it is. Known in a build alone, once the base image is.",
        bad="FROM image-for-arm64-only\n",
        good="FROM image-for-many-platforms\n",
    ),
    Rule(
        name="InvalidDefaultArgInFrom",
        summary="With the defaults of its ARGs, FROM names an image",
        why="A build without --build-arg fails.",
        bad="ARG TAG\nFROM busybox:$TAG\n",
        good="ARG TAG=1\nFROM busybox:$TAG\n",
    ),
    Rule(
        name="InvalidDefinitionDescription",
        summary="A comment right above ARG, or a FROM with a name, begins with the name that it describes",
        why="`docker build --call=outline` shows it as the description. An empty comment keeps others apart. "
        "Counts where `# check=experimental=InvalidDefinitionDescription` or `experimental=all` asks for it.",
        bad="# check=experimental=all\nFROM scratch\n# the version\nARG VERSION=1\n",
        good="# check=experimental=all\nFROM scratch\n# VERSION of the program\nARG VERSION=1\n",
        experimental=True,
    ),
    Rule(
        name="JSONArgsRecommended",
        summary="CMD and ENTRYPOINT are JSON arrays",
        why="Otherwise a shell is process 1, and signals such as that of `docker stop` do not reach the program. "
        "A stage with a SHELL of its own is taken to mean it.",
        bad="FROM busybox\nCMD run --now\n",
        good='FROM busybox\nCMD ["run", "--now"]\n',
    ),
    Rule(
        name="LegacyKeyValueFormat",
        summary="ENV and LABEL are written with =",
        why="The form with a space takes one pair only, and everything behind the space as its value.",
        bad="FROM scratch\nENV a b\n",
        good="FROM scratch\nENV a=b\n",
    ),
    Rule(
        name="MaintainerDeprecated",
        summary="MAINTAINER is a label",
        why="Nothing reads the old field any more.",
        bad="FROM scratch\nMAINTAINER a@example.com\n",
        good='FROM scratch\nLABEL org.opencontainers.image.authors="a@example.com"\n',
    ),
    Rule(
        name="MultipleInstructionsDisallowed",
        summary="CMD, ENTRYPOINT and HEALTHCHECK stand once in a stage",
        why="Only the last one counts.",
        bad='FROM busybox\nCMD ["a"]\nCMD ["b"]\n',
        good='FROM busybox\nCMD ["b"]\n',
    ),
    Rule(
        name="NoEmptyContinuation",
        summary="No line is empty between an instruction and its continuation",
        why="It looks as if the instruction ended there. BuildKit says it will become an error.",
        bad="FROM scratch\nENV a=b \\\n\n  c=d\n",
        good="FROM scratch\nENV a=b \\\n  c=d\n",
    ),
    Rule(
        name="RedundantTargetPlatform",
        summary="FROM --platform=$TARGETPLATFORM says nothing",
        why="It is the default.",
        bad="FROM --platform=$TARGETPLATFORM busybox\n",
        good="FROM busybox\n",
    ),
    Rule(
        name="ReservedStageName",
        summary="No stage is called scratch or context",
        why="These names mean something else in FROM and in BuildKit.",
        bad="FROM busybox AS scratch\n",
        good="FROM busybox AS base\n",
    ),
    Rule(
        name="SecretsUsedInArgOrEnv",
        summary="ARG and ENV hold no secrets",
        why="They are in the image's configuration and history, for everyone who can pull it. "
        "RUN --mount=type=secret is made for them.",
        bad="FROM scratch\nARG NPM_TOKEN\n",
        good="FROM busybox\nRUN --mount=type=secret,id=npm,env=NPM_TOKEN true\n",
    ),
    Rule(
        name="StageNameCasing",
        summary="Stage names are in lower case",
        why="They are compared without regard to case, which is easily forgotten.",
        bad="FROM busybox AS Build\n",
        good="FROM busybox AS build\n",
    ),
    Rule(
        name="UndefinedArgInFrom",
        summary="FROM uses ARGs that are declared before the first FROM",
        why="Any other variable is empty there.",
        bad="FROM busybox$VARIANT\n",
        good="ARG VARIANT=-musl\nFROM busybox$VARIANT\n",
    ),
    Rule(
        name="UndefinedVar",
        summary="Variables are defined before they are used",
        why="They are empty. An ARG before the first FROM has to be named in the stage again. What an image of a "
        "registry defines is known in a build alone: otherwise, upon such a base, only names that are like a "
        "known one are reported.",
        bad="ARG VERSION=1\nFROM scratch\nCOPY app-$VERSION /\n",
        good="ARG VERSION=1\nFROM scratch\nARG VERSION\nCOPY app-$VERSION /\n",
    ),
    Rule(
        name="WorkdirRelativePath",
        summary="WORKDIR is absolute, or comes after one that is",
        why="Otherwise the base image decides where it is.",
        bad="FROM busybox\nWORKDIR app\n",
        good="FROM busybox\nWORKDIR /app\n",
    ),
)
RULES: Mapping[str, Rule] = {rule.name: rule for rule in _ALL}
