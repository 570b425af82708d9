"""The base images of the tests, made on this machine from Debian's packages and kept under .cache/ by recipe.

`busybox` is a file system small enough to see whole: Debian's static busybox with its applets as links, users and
groups, a home, special modes. `layered` and `onbuild` stand on it. `debian` is a minimal Debian of about 180 MB,
made by mmdebstrap from the machine's own sources. All are docker archives that skopeo copies where needed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tarfile
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from integration.support.programs import run
from integration.support.recipes import Archive, Dir, Fifo, File, Hardlink, Node, Symlink, archive_bytes

CACHE = Path(__file__).parents[2] / ".cache" / "integration"
BUSYBOX = Path("/bin/busybox")
REGISTRY_NAME = "registry.test"
"""The host in the Dockerfiles of the tests; it stands for the registry that runs at the time."""
FILES_NAME = "files.test"
"""The host of the files that ADD downloads, likewise."""

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BUSYBOX_TREE: Mapping[str, Node] = {
    "bin": Dir(),
    "dev": Dir(),
    "etc": Dir(),
    "etc/group": "root:x:0:\nstaff:x:50:app\nvideo:x:44:app,guest\napp:x:1000:\nusers:x:100:\n",
    "etc/hosts": "",
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:App:/home/app:/bin/sh\nguest:x:1001:100::/:/bin/sh\n"
    ),
    "etc/resolv.conf": "",
    "home": Dir(),
    "home/app": Dir(uid=1000, gid=1000, mode=0o750),
    "home/app/note": File(content="mine\n", uid=1000, gid=1000, mode=0o600),
    "opt": Dir(),
    "opt/data": Dir(mode=0o711, uid=7, gid=8),
    "opt/data/old": "old\n",
    "opt/link": Symlink("data"),
    "opt/suid": File(content="set\n", mode=0o4755),
    "proc": Dir(),
    "root": Dir(mode=0o700),
    "sys": Dir(),
    "tmp": Dir(mode=0o1777),
    "usr": Dir(),
    "usr/bin": Dir(),
    "usr/local": Dir(),
    "usr/local/bin": Dir(),
    "var": Dir(),
    "var/run": Symlink("../run"),
    "run": Dir(),
}


def busybox_archive() -> Path:
    """The docker archive of the `busybox` base image."""
    return _stored("busybox", [archive_bytes(Archive(files=_busybox_files()))], {"Env": [_PATH], "Cmd": ["sh"]})


def armbox_archive() -> Path:
    """The docker archive of `armbox`: `busybox` with Debian's static busybox for arm64. It takes 5 s at first."""
    program = CACHE / f"busybox-arm64-{os_release()['VERSION_CODENAME']}"
    if not program.exists():
        with tempfile.TemporaryDirectory(dir=_cache_folder()) as scratch:
            tree, sources = Path(scratch) / "root.tar", Path(scratch) / "machine.list"
            sources.write_text(_machine_sources())
            words = ["--arch=arm64", "--variant=extract", "--include=busybox-static", "--quiet"]
            run(["mmdebstrap", *words, os_release()["VERSION_CODENAME"], tree, sources])
            with tarfile.open(tree) as archive:
                member = archive.extractfile("./bin/busybox")
                assert member is not None
                (Path(scratch) / "busybox").write_bytes(member.read())
            (Path(scratch) / "busybox").rename(program)
    files = {**_busybox_files(), "bin/busybox": File(content=program.read_bytes(), mode=0o755)}
    layers = [archive_bytes(Archive(files=files))]
    return _stored("armbox", layers, {"Env": [_PATH], "Cmd": ["sh"]}, architecture="arm64")


def push_index(host: str, name: str, archives: Mapping[str, Path]) -> None:
    """Push an index called `name` with the image of each archive, by platform (os/architecture[/variant])."""
    entries = []
    for platform, archive in archives.items():
        tag = platform.replace("/", "-")
        words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--format=oci"]
        run([*words, f"docker-archive:{archive}", f"docker://{host}/{name}:{tag}"])
        manifest = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/{name}:{tag}"])
        system, architecture, *variant = platform.split("/")
        entry_platform = {
            "os": system,
            "architecture": architecture,
            **({"variant": variant[0]} if variant else {}),
        }
        entries.append(
            {
                "mediaType": json.loads(manifest)["mediaType"],
                "digest": _digest(manifest.encode()),
                "size": len(manifest),
                "platform": entry_platform,
            }
        )
    media_type = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()
    request = urllib.request.Request(
        f"http://{host}/v2/{name}/manifests/latest",
        data=index,
        headers={"Content-Type": media_type},
        method="PUT",
    )
    urllib.request.urlopen(request).close()


@functools.cache
def _busybox_files() -> Mapping[str, Node]:
    applets = sorted(set(run([BUSYBOX, "--list"]).split()) - {"busybox"})
    return {
        **_BUSYBOX_TREE,
        "bin/busybox": File(content=BUSYBOX.read_bytes(), mode=0o755),
        **{f"bin/{applet}": Symlink("busybox") for applet in applets},
    }


_Layers = Sequence[Mapping[str, Node]]

_LAYERED: _Layers = (
    {
        "srv": Dir(),
        "srv/keep": "1\n",
        "srv/gone": "1\n",
        "srv/full": Dir(),
        "srv/full/a": "a\n",
        "srv/full/b": "b\n",
    },
    {
        "srv/.wh.gone": "",
        "srv/full": Dir(),
        "srv/full/.wh..wh..opq": "",
        "srv/full/c": "c\n",
        "srv/hard": "hard\n",
    },
    {"srv/hard": "harder\n", "srv/twin": Hardlink("srv/hard"), "srv/gone": Dir(mode=0o700), "srv/pipe": Fifo()},
)
_LAYERED_CONFIG = {
    "Env": [_PATH, "BASE=layered"],
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ["echo base"],
    "User": "app",
    "WorkingDir": "/srv",
    "Labels": {"base": "layered", "replaced": "no"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/volume": {}},
    "StopSignal": "SIGINT",
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000},
}
_ONBUILD_CONFIG = {
    "Env": [_PATH],
    "Cmd": ["sh"],
    "OnBuild": ["ARG FLAVOUR=plain", "COPY trigger /trigger", "RUN echo $FLAVOUR > /flavour", "ENV TRIGGERED=yes"],
}


def derived_archives() -> tuple[Path, Path]:
    """`layered` (whiteouts, an opaque directory, every config field) and `onbuild` (triggers), on `busybox`."""
    layers = [archive_bytes(Archive(files=files)) for files in (_busybox_files(), *_LAYERED)]
    return (
        _stored("layered", layers, _LAYERED_CONFIG),
        _stored("onbuild", layers[:1], _ONBUILD_CONFIG),
    )


def platform_archives() -> Mapping[str, Path]:
    """The docker archives of `several`, an index, by platform: `busybox` and a file that tells which one it is."""
    return {platform: _platform_archive(platform) for platform in ("linux/amd64", "linux/arm64", "linux/arm/v7")}


def _platform_archive(platform: str) -> Path:
    _, architecture, *variant = platform.split("/")
    layers = [archive_bytes(Archive(files={**_busybox_files(), "platform": f"{platform}\n"}))]
    name = f"several{architecture}{''.join(variant)}"
    config = {"Env": [_PATH, f"BASE={platform}"]}
    return _stored(name, layers, config, architecture=architecture, variant="".join(variant))


def all_archives() -> tuple[Path, ...]:
    """The docker archives of every small base image."""
    return (busybox_archive(), *derived_archives(), *platform_archives().values())


def push_bases(host: str) -> None:
    """Push `busybox`, `layered`, `onbuild`, and the index `several`."""
    for archive in (busybox_archive(), *derived_archives()):
        push_archive(archive, host)
    push_index(host, "several", platform_archives())


def debian_archive() -> Path:
    """The docker archive of the `debian` base image. The first call takes some 20 s and 30 MB of packages."""
    return _debian("debian", ())


def toolbox_archive() -> Path:
    """The docker archive of `toolbox`: a Debian that has what packaging/bundle takes Python from. 30 s, 60 MB."""
    return _debian("toolbox", ("binutils", "busybox-static", "ca-certificates", "git", "patchelf", "python3"))


def _mark(packages: Sequence[str]) -> str:
    """A name's end that changes with the packages, '' for none."""
    return f"-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}" if packages else ""


def _debian(name: str, packages: Sequence[str]) -> Path:
    suite = os_release()["VERSION_CODENAME"]
    target = CACHE / f"{name}-{suite}{_mark(packages)}.tar"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=_cache_folder()) as scratch:
            tree = Path(scratch) / "root.tar"
            sources = Path(scratch) / "machine.list"
            sources.write_text(_machine_sources())
            include = [f"--include={','.join(packages)}"] if packages else []
            run(["mmdebstrap", "--variant=minbase", "--quiet", *include, suite, tree, sources], timeout=900)
            _write_archive(target, name, [tree.read_bytes()], {"Env": [_PATH], "Cmd": ["bash"]})
    return target


def base_name(archive: Path) -> str:
    """The name of the base image that a docker archive was made for."""
    return archive.name.partition("-")[0]


def push_archive(archive: Path, host: str) -> None:
    """Push a docker archive under the name that it was made for."""
    name = base_name(archive)
    words = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false"]
    run([*words, f"docker-archive:{archive}", f"docker://{host}/{name}:latest"])


def os_release() -> dict[str, str]:
    """The machine's /etc/os-release as a dictionary."""
    pairs = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return {name: value.strip('"') for name, _, value in pairs if name}


def _machine_sources() -> str:
    """Debian's part of the machine's own package sources, one `deb` line each."""
    line = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(RELEASE) main"
    fields = ["Created-By: Packages", "Origin: Debian", "Component: main"]
    lines = run(["apt-get", "indextargets", "--format", line, *fields])
    return "".join(f"{line}\n" for line in sorted(set(lines.splitlines())))


def _cache_folder() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE


def _stored(
    name: str,
    layers: Sequence[bytes],
    config: Mapping[str, Any],
    *,
    architecture: str = "",
    variant: str = "",
) -> Path:
    key = hashlib.sha256(json.dumps([name, config, [_digest(layer) for layer in layers]]).encode()).hexdigest()
    target = _cache_folder() / f"{name}-{key[:16]}.tar"
    if not target.exists():
        _write_archive(target, name, layers, config, architecture, variant)
    return target


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _write_archive(
    target: Path,
    name: str,
    layers: Sequence[bytes],
    config: Mapping[str, Any],
    architecture: str = "",
    variant: str = "",
) -> None:
    document = {
        "architecture": architecture or run(["dpkg", "--print-architecture"]).strip(),
        **({"variant": variant} if variant else {}),
        "os": "linux",
        "created": "2010-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        "history": [{"created": "2010-01-01T00:00:00Z", "created_by": "made for the tests"}] * len(layers),
    }
    names = [f"layer-{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [f"{REGISTRY_NAME}/{name}:latest"], "Layers": names}]
    files: dict[str, Node] = {
        "config.json": json.dumps(document),
        **{file: File(content=layer) for file, layer in zip(names, layers, strict=True)},
        "manifest.json": json.dumps(manifest),
    }
    scratch = target.with_suffix(f".{os.getpid()}")
    scratch.write_bytes(archive_bytes(Archive(files=files)))
    scratch.rename(target)
