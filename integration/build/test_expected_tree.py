"""What a Dockerfile says is what skopeo pulls: every kind of file, spelled out, with each driver."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from integration.support.builders import Executor
from integration.support.flatten import Entry, flatten, link_groups
from integration.support.images import read_layout
from integration.support.programs import run
from integration.support.registries import RegistryServer

DOCKERFILE = """\
FROM registry.test/busybox AS made
RUN mkdir -p /t/dir && echo data > /t/dir/file && ln /t/dir/file /t/hard && ln -s dir/file /t/soft \\
 && mkfifo /t/pipe && mknod /t/null c 1 3 && mkdir -m 1777 /t/sticky && chown 3:4 /t/dir && chmod 2750 /t/dir
COPY --chown=1:2 --chmod=4755 plain /t/program
COPY capable /t/capable
COPY tree /t/tree
ADD archive.tar /t/unpacked
RUN rm /t/tree/gone && rm -r /t/tree/opaque && mkdir /t/tree/opaque && echo new > /t/tree/opaque/new

FROM scratch
COPY --from=made /t /t
"""
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service, effective


def entry(kind: str, mode: int, content: bytes = b"", **more: object) -> Entry:
    entry = Entry(kind=kind, mode=mode)
    if kind == "file":
        entry.size, entry.sha256 = len(content), hashlib.sha256(content).hexdigest()
    for name, value in more.items():
        setattr(entry, name, value)
    return entry


EXPECTED = {
    "/t": entry(
        "dir", 0o755
    ),  # the destination of a directory is made anew, as BuildKit does; its contents keep all
    "/t/sticky": entry("dir", 0o1777),
    "/t/dir": entry("dir", 0o2750, uid=3, gid=4),
    "/t/dir/file": entry("file", 0o644, b"data\n"),
    "/t/hard": entry("file", 0o644, b"data\n"),
    "/t/soft": entry("symlink", 0o777, link="dir/file"),
    "/t/pipe": entry("fifo", 0o644),
    "/t/null": entry("char", 0o644, device=(1, 3)),
    "/t/program": entry("file", 0o4755, b"plain", uid=1, gid=2),
    "/t/capable": entry("file", 0o755, b"capable", xattrs={"security.capability": CAPABILITY.hex()}),
    "/t/tree": entry("dir", 0o755),
    "/t/tree/kept": entry("file", 0o600, b"kept"),
    "/t/tree/opaque": entry("dir", 0o755),
    "/t/tree/opaque/new": entry("file", 0o644, b"new\n"),
    "/t/unpacked": entry("dir", 0o755),
    "/t/unpacked/inside": entry("file", 0o640, b"inside", uid=7, gid=8),
}


def make_context(folder: Path) -> None:
    """A context whose owners and umask must not show in the image."""
    (folder / "tree" / "opaque").mkdir(parents=True)
    files = {"plain": 0o600, "capable": 0o755, "tree/kept": 0o600, "tree/gone": 0o644, "tree/opaque/old": 0o644}
    for name, mode in files.items():
        (folder / name).write_text(os.path.basename(name))
        (folder / name).chmod(mode)
    for path in folder.rglob("*"):
        os.chown(path, 1234, 1234)
    os.setxattr(folder / "capable", "security.capability", CAPABILITY)
    inside = folder / "inside"
    inside.write_text("inside")
    inside.chmod(0o640)
    run(["tar", "--owner=7", "--group=8", "-C", folder, "-cf", folder / "archive.tar", "inside"])
    inside.unlink()


def test_the_pulled_tree_is_the_expected_one(executor: Executor, registry: RegistryServer, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    make_context(context)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("registry.test", executor.registry))
    name = f"{registry.host}/expected:{executor.driver}"
    before = os.umask(0o077)
    try:
        executor.run(f"--context={context}", f"--dockerfile={tmp_path / 'Dockerfile'}", f"--destination={name}")
    finally:
        os.umask(before)
    run(
        ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path / 'pulled'}:x"]
    )
    tree = flatten(read_layout(tmp_path / "pulled"))
    for found in tree.values():
        found.mtime = 0
    assert tree == EXPECTED
    assert link_groups(tree)["/t/hard"] == ("/t/dir/file", "/t/hard")
