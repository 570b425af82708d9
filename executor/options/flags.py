"""The executor's flags, one row each: kaniko's names and defaults, and what this version does with them.

A row drives the parser, the help text and the table in docs/flags.md. None is accepted and ignored.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Literal

from executor.dataclass import dataclass

FlagValue = bool | str | int | tuple[str, ...]


class Support(enum.Enum):
    """What a flag does here."""

    DONE = "yes"
    ALWAYS = "accepted: always in effect"
    REFUSED = "no: refused, with a way out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag. `kind` list may be repeated. `env` names a variable that gives the value when no flag does,
    of a list one more value."""

    name: str
    kind: Literal["bool", "text", "number", "list"]
    help: str
    default: FlagValue = ""
    short: str = ""
    env: str = ""
    support: Support = Support.DONE
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The flag's name as a Python identifier."""
        return self.name.replace("-", "_")


def _text(name: str, help_text: str, default: str = "", *, short: str = "", env: str = "", **more: object) -> Flag:
    return Flag(name=name, kind="text", help=help_text, default=default, short=short, env=env, **more)  # type: ignore[arg-type]


def _switch(
    name: str, help_text: str, support: Support = Support.DONE, *, default: bool = False, **more: object
) -> Flag:
    return Flag(name=name, kind="bool", help=help_text, default=default, support=support, **more)  # type: ignore[arg-type]


def _number(name: str, help_text: str, support: Support = Support.DONE) -> Flag:
    return Flag(name=name, kind="number", help=help_text, default=0, support=support)


def _many(name: str, help_text: str, support: Support = Support.DONE, **more: object) -> Flag:
    return Flag(name=name, kind="list", help=help_text, default=(), support=support, **more)  # type: ignore[arg-type]


_ALWAYS = Support.ALWAYS

FLAGS: tuple[Flag, ...] = (
    _text(
        "context", "Directory or URL (dir://, tar://, git://, https://, s3://, gs://) of the files",
        "/workspace/", short="c",
    ),
    _text("context-sub-path", "Folder of the context to build from"),
    _text(
        "dockerfile", "Dockerfile: a path here or in the context, a URL, or - for standard input",
        "Dockerfile", short="f",
    ),
    _many("destination", "Image name to push to; may be repeated", short="d"),
    _many("build-arg", "ARG value, NAME=VALUE or NAME to take it from the environment"),
    _many("build-context", "Named context, NAME=VALUE: a folder, docker-image://, oci-layout://, git or http URL"),
    _many("secret", "Secret for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=VARIABLE"),
    _many("ssh", "Agent for RUN --mount=type=ssh: default, or ID=SOCKET"),
    _text("target", "Stage to build; the last one when not given"),
    _many("label", "Label of the image, NAME=VALUE"),
    _many("annotation", "Annotation, [KIND[PLATFORM]:]NAME=VALUE; KIND: manifest, index, …-descriptor"),
    _many("custom-platform", "As linux/arm64; several make an index", aliases=("customPlatform", "platform")),
    _switch("no-push", "Build only", env="KANIKO_NO_PUSH"),
    _switch("check", "Build nothing: check the Dockerfile by the rules of docs/lint.md"),
    _switch("dryrun", "Build nothing: print the stages and steps that a build would need"),
    _text("digest-file", "Write the image's digest here after the push"),
    _text("image-name-with-digest-file", "Write repository@digest of each destination here"),
    _text("image-name-tag-with-digest-file", "Write repository:tag@digest of each destination here"),
    _text("tar-path", "Write the image as a docker-save archive", aliases=("tarPath",)),
    _text("oci-layout-path", "Write the image as an OCI layout"),
    _switch("insecure", "Push over plain HTTP"),
    _switch("insecure-pull", "Pull over plain HTTP"),
    _many("insecure-registry", "Use plain HTTP for this registry"),
    _switch("skip-tls-verify", "Do not verify TLS certificates when pushing"),
    _switch("skip-tls-verify-pull", "Do not verify TLS certificates when pulling"),
    _many("skip-tls-verify-registry", "Do not verify the TLS certificate of this registry"),
    _many("registry-certificate", "CA file for a registry, HOST=FILE"),
    _many("registry-client-cert", "Client certificate for a registry, HOST=CERTIFICATE,KEY"),
    _number("push-retry", "How often a push that failed for a temporary reason is tried again"),
    _number("image-download-retry", "How often a download that failed for a temporary reason is tried again"),
    _number("image-fs-extract-retry", "Counts like --image-download-retry: layers are unpacked as they arrive"),
    _many("registry-map", "Pull from mirrors first: HOST=MIRROR[;MIRROR…], a mirror being HOST[/PATH]",
          env="KANIKO_REGISTRY_MAP"),
    _many("registry-mirror", "Mirror of Docker Hub to pull from first, HOST[/PATH]; may be repeated",
          env="KANIKO_REGISTRY_MIRROR"),
    _switch("skip-default-registry-fallback", "Fail when no mirror has the image"),
    _many("credential-helpers", "Who has logins beside docker's files: gitlab (as without it) or, empty, nobody"),
    _switch("push-ignore-immutable-tag-errors", "Only warn of an immutable tag that does not move"),
    _switch("skip-push-permission-check", "Do not ask the registries for permission before the build"),
    Flag(
        name="verbosity", kind="text", help="Least level to log", default="info", short="v",
        choices=("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"),
    ),
    Flag(name="log-format", kind="text", help="How to log", default="", choices=("text", "color", "json")),
    _switch("log-timestamp", "Log the time of each line"),
    _text("events-file", "Write everything that happens here, as JSON lines (docs/events.md)"),
    _number("events-fd", "The same to an open file descriptor"),
    Flag(
        name="snapshot-mode", kind="text", default="full", choices=("full", "redo", "time"),
        help="How the chroot driver finds changes", aliases=("snapshotMode",),
    ),
    _switch("single-snapshot", "Make one layer of all instructions of a stage"),
    _switch("reproducible", "Same input, same digest: clamp times to SOURCE_DATE_EPOCH (default 0)"),
    _many("ignore-path", "Path in the image that never enters a layer"),
    _switch("ignore-var-run", "Leave /var/run out of layers, as kaniko does by default and BuildKit does not",
            aliases=("whitelist-var-run",)),
    _text("kaniko-dir", "Folder for downloads, layers and working files", env="KANIKO_DIR"),
    _text("store-size", "Keep the store within this size, as 20GB; 0: no bound. Else by the room on its disk",
          env="KRUNNER_STORE_SIZE"),
    Flag(
        name="rootfs", kind="text", default="auto", choices=("auto", "overlay", "chroot", "in-place"),
        help="Root filesystem driver", env="KRUNNER_ROOTFS",
    ),
    _switch("cleanup", "Nothing of a build remains in the file system", _ALWAYS, env="KANIKO_CLEANUP"),
    _switch("pre-cleanup", "An image begins with nothing of the container's own files", _ALWAYS,
            env="KANIKO_PRE_CLEANUP"),
    _switch("preserve-context", "After a build the container's own files are what they were", _ALWAYS,
            env="KANIKO_PRESERVE_CONTEXT"),
    _switch("materialize", "Leave the image's files in the container", Support.REFUSED),
    _switch("force", "These drivers never touch this machine's own root", _ALWAYS),
    _switch("skip-unused-stages", "Stages that the target does not need are skipped", _ALWAYS),
    _switch("use-new-run", "Changes of a RUN are found without hashing every file", _ALWAYS),
    _switch("force-build-metadata", "The history has an entry for every instruction", _ALWAYS),
    _switch("compressed-caching", "Layers are never held in memory, compressed or not", _ALWAYS, default=True),
    _switch("cache", "Keep the layers of instructions, and look them up"),
    _many("cache-repo", "Where: REPOSITORY, oci:/path or dir:/path; may be repeated. Else DESTINATION/cache"),
    _many("cache-from", "Look up here too, without writing; may be repeated"),
    _text("cache-dir", "Folder of warmed base images (else /cache); with --cache of layers too"),
    _text("cache-ttl", "How long cached layers count, as 336h or 90m", "336h"),
    _text("cache-size", "Keep a layer cache in a folder within this size, as 5GB; 0: no bound. Else by its disk"),
    _switch("cache-copy-layers", "Cache COPY and ADD"),
    _switch("cache-run-layers", "Cache RUN", default=True),
    _switch("no-push-cache", "Do not write the layer cache"),
    Flag(
        name="compression", kind="text", default="gzip", choices=("gzip", "zstd"),
        help="Compression of new layers; what a base image or the cache has stays as it is",
    ),
    _text("compression-level", "gzip: 0 to 9, zstd: 1 to 22; -1 for the usual one (fast gzip, zstd 3)", "-1"),
    Flag(
        name="image-format", kind="text", default="oci", choices=("oci", "docker"),
        help="Media types of the image; layers are the same in both",
    ),
    _text("bucket", "GCS bucket of the context, BUCKET[/PATH], in place of --context", short="b"),
    _many("git", "Options of a git context, branch=NAME or recurse-submodules=false; may be repeated"),
)  # fmt: skip


_SHARED = (
    "build-arg", "insecure", "insecure-pull", "insecure-registry", "skip-tls-verify", "skip-tls-verify-pull",
    "skip-tls-verify-registry", "registry-certificate", "registry-client-cert", "registry-map", "registry-mirror",
    "skip-default-registry-fallback", "credential-helpers", "image-download-retry", "cache-ttl", "custom-platform",
    "verbosity", "log-format", "log-timestamp",
)  # fmt: skip

WARMER_FLAGS: tuple[Flag, ...] = (
    _many("image", "Image to keep ready; may be repeated", short="i"),
    _many(
        "dockerfile", "Dockerfile, a path or URL, all of whose images are kept ready; may be repeated", short="d"
    ),
    _text("cache-dir", "Folder to keep them in", "/cache", short="c"),
    _switch("force", "Fetch images again that are there and fresh", short="f"),
    _switch("keep-going", "Go on when an image fails, and fail only when all do"),
    *(flag for flag in FLAGS if flag.name in _SHARED),
)

_LOGGED = ("verbosity", "log-format", "log-timestamp")
_REACHED = ("insecure-registry", "skip-tls-verify-registry", "registry-certificate", "registry-client-cert")

LOGIN_FLAGS: tuple[Flag, ...] = (
    _text("username", "User name", short="u"),
    _text("password", "Password or token; others can see it here, so better --password-stdin", short="p"),
    _switch("password-stdin", "Take the password or token from standard input"),
    _switch("insecure", "Speak plain HTTP with the registry"),
    _switch("skip-tls-verify", "Do not verify the registry's TLS certificate"),
    *(flag for flag in FLAGS if flag.name in (*_REACHED, *_LOGGED)),
)

_PUSHED = (
    "destination", "digest-file", "image-name-with-digest-file", "image-name-tag-with-digest-file", "insecure",
    "skip-tls-verify", "push-retry", "push-ignore-immutable-tag-errors", "credential-helpers",
)  # fmt: skip

PUSH_FLAGS: tuple[Flag, ...] = (
    _text("oci-layout-path", "OCI layout that has the image: PATH, PATH:TAG or PATH@DIGEST"),
    _text(
        "tar-path", "Archive that has it, docker's or OCI's: PATH, PATH:TAG or PATH@DIGEST", aliases=("tarPath",)
    ),
    *(flag for flag in FLAGS if flag.name in (*_PUSHED, *_REACHED, *_LOGGED)),
)

LOGOUT_FLAGS: tuple[Flag, ...] = tuple(flag for flag in FLAGS if flag.name in _LOGGED)


def normalize(argv: Sequence[str], flags: Sequence[Flag] = FLAGS) -> list[str]:
    """Rewrite pflag's spellings for click.

    `--flag` of a boolean becomes `--flag=true`, so that a word after it stays a word; `-d=x` becomes
    `--destination=x`.
    """
    switches = {f"--{name}" for flag in flags if flag.kind == "bool" for name in (flag.name, *flag.aliases)}
    long = {f"-{flag.short}": f"--{flag.name}" for flag in flags if flag.kind == "bool" and flag.short}
    shorts = {f"-{flag.short}=": f"--{flag.name}=" for flag in flags if flag.short}
    words = [shorts[word[:3]] + word[3:] if word[:3] in shorts else word for word in argv]
    return [f"{long.get(word, word)}=true" if word in switches or word in long else word for word in words]


def markdown() -> str:
    """The table of docs/flags.md. `python -m executor.options.flags > docs/flags.md` renews it."""
    rows = [
        "# Flags of `executor`",
        "",
        "Made from `executor/options/flags.py`. Names and defaults are kaniko's; no flag is accepted and ignored.",
        "",
        *_table(FLAGS),
        "",
        "# Flags of `warmer`",
        "",
        "[store.md](store.md) says what it does.",
        "",
        *_table(WARMER_FLAGS),
        "",
        "# Flags of `executor login`",
        "",
        "[credentials.md](credentials.md) says what it does. `executor logout` has the last three.",
        "",
        *_table(LOGIN_FLAGS),
        "",
        "# Flags of `executor push`",
        "",
        "[pushing.md](pushing.md) says what it does.",
        "",
        *_table(PUSH_FLAGS),
    ]
    return "\n".join(rows) + "\n"


def _table(flags: Sequence[Flag]) -> Iterator[str]:
    yield "| flag | default | environment | supported | what it does |"
    yield "|---|---|---|---|---|"
    for flag in flags:
        names = ", ".join(f"`--{name}`" for name in (flag.name, *flag.aliases))
        short = f"`-{flag.short}`, " if flag.short else ""
        default = f"`{_shown(flag.default)}`" if flag.default else ""
        environment = f"`{flag.env}`" if flag.env else ""
        yield f"| {short}{names} | {default} | {environment} | {flag.support.value} | {flag.help} |"


def _shown(default: FlagValue) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    print(markdown(), end="")
