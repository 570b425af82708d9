"""A list of twenty images that do to their root what images do, kindly and unkindly; some fail, on purpose.

Each begins by asking the gate, so that what the one before left can be looked at before anything else happens.
`{base}`, `{push}` and `{gate}` stand for a registry with the bases, one that takes no manifests, and the gate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integration.support.builders import Docker
from integration.support.container import started
from integration.support.gate import serve_gate
from integration.support.images import StoredImage, read_layout
from integration.support.outside import Seen, look_at
from integration.support.recipes import Dir, Fifo, File, Node, Symlink, make_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of the list and what is to become of it: "built", "failed" or "push failed"."""

    name: str
    text: str
    ends: str = "built"
    files: Mapping[str, Node] = field(default_factory=dict)

    @property
    def goes_to(self) -> str:
        """The registry that it is pushed to."""
        return "{push}" if self.ends == "push failed" else "{base}"


_PLAIN = """
FROM {base}/busybox
RUN echo 1 > /mark && mkdir -p /srv/new && touch -d @1000000000 /srv/new/old
"""
_FAILING = """
FROM {base}/busybox
RUN test ! -e /mark && touch /left && exit 3
"""
_DAEMONS = """
FROM {base}/busybox
RUN (setsid sleep 1000 &); (trap '' TERM HUP; echo > /tmp/beat; while :; do touch /tmp/beat; sleep 1; done &) \
    ; until [ -s /tmp/beat ]; do :; done
RUN test "$(ps | grep -c '[s]leep 1000')" = 0
RUN mkdir /var/lock && sh -c 'exec 9>/var/lock/held; sleep 1000 &'
"""
_ROOT_CHANGED = """
FROM {base}/busybox
RUN chmod 1701 / && chown 5:6 /
RUN touch -d @1000000000 / && chmod 700 /etc /bin
"""
_DEBIAN = """
FROM {base}/debian
RUN apt-get --version > /out && useradd -m -u 4321 somebody
"""
_WITHOUT_SHELL = """
FROM {base}/busybox
RUN rm -rf /bin /usr /home /opt
"""
_SHELL_MISSING = """
FROM {base}/busybox
RUN rm /bin/sh
RUN true
"""
_FULL = """
FROM {base}/busybox
RUN dd if=/dev/zero of=/tmp/big bs=1M count=40 2>&1; for n in $(seq 3000); do : > /tmp/$n; done
RUN rm -rf /tmp && mkdir -m 1777 /tmp && touch /tmp/one
"""
_ODD_NAMES = r"""
FROM {base}/busybox
RUN mkdir '/a b' && cd '/a b' && touch -- -rf '\' '*' '$HOME' ' ' "$(printf 'x\ny')" "$(printf '\377\301')" \
    && touch "$(head -c 255 /dev/zero | tr '\0' n)" && ln -s nowhere '/dangling link' && mkdir /...
"""
_UNPUSHABLE = """
FROM {base}/busybox
RUN echo x > /pushed && chmod 4711 /bin/busybox
"""
_REPLACING = """
FROM {base}/busybox
RUN rm -rf /opt /home && ln -s /tmp /opt && ln -s . /home && rm /var/run && mkdir -p /var/run/x
RUN mv /usr /usr2 && ln -s usr2 /usr && touch /opt/through && rm -rf /srv && echo file > /srv
"""
_SPECIAL_FILES = """
FROM {base}/debian
RUN mkfifo -m 620 /fifo && ln /fifo /fifo2 && mknod /null c 1 3 && mkdir -m 2770 /group && chgrp 50 /group
RUN perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/run/s")) or die'
RUN touch /group/f && truncate -s 100M /sparse && chmod 000 /etc/shadow
"""
_HOSTILE = """
FROM {base}/toolbox
RUN echo 'hosts: evil' > /etc/nsswitch.conf && mkdir -p /usr/lib/ssl && echo nonsense > /usr/lib/ssl/openssl.cnf
RUN echo 'raise SystemExit(9)' > /usr/lib/python3/dist-packages/sitecustomize.py
ENV PYTHONHOME=/evil PYTHONPATH=/evil LD_LIBRARY_PATH=/evil SSL_CERT_DIR=/evil TMPDIR=/evil HOME=/evil
RUN echo /lib/evil.so > /etc/ld.so.preload
"""
_FROM_SCRATCH = """
FROM scratch
COPY . /
"""
_SCRATCH_WITH_A_PROGRAM = """
FROM scratch
COPY --from={base}/busybox /bin/busybox /only/busybox
RUN ["/only/busybox", "mkdir", "-m", "700", "-p", "/made/by"]
"""
_STRICT_UMASK = """
FROM {base}/busybox
COPY . /srv/
RUN umask 077 && mkdir -p /own/er && touch /own/er/f && umask > /umask
"""
_VOLUME_THEN_DIRECTORY = """
FROM {base}/busybox
VOLUME /data /var/log
RUN mkdir -p /data /var/log && echo 1 > /data/kept && echo 1 > /var/log/kept
RUN test -f /data/kept
"""
_STAGES = """
FROM {base}/busybox AS build
WORKDIR /src
RUN uname -m > arch && rm -rf /opt && chmod -R o-rwx /src
FROM {base}/busybox
COPY --from=build --chown=app /src /app
WORKDIR /app
USER app
RUN id -un > me && cat arch && test ! -w /etc
"""
_UNPUSHABLE_STAGES = """
FROM {base}/busybox AS a
RUN echo a > /a
FROM {base}/layered
USER root
COPY --from=a /a /a
RUN cp /a /b
"""
_LAST = """
FROM {base}/busybox
RUN test ! -e /mark && test ! -e /left && test -x /bin/sh && touch /last
"""

IMAGES = (
    Image(name="plain", text=_PLAIN),
    Image(name="failing", text=_FAILING, ends="failed"),
    Image(name="daemons", text=_DAEMONS),
    Image(name="root-changed", text=_ROOT_CHANGED),
    Image(name="debian", text=_DEBIAN),
    Image(name="without-shell", text=_WITHOUT_SHELL),
    Image(name="shell-missing", text=_SHELL_MISSING, ends="failed"),
    Image(name="full", text=_FULL),
    Image(name="odd-names", text=_ODD_NAMES),
    Image(name="unpushable", text=_UNPUSHABLE, ends="push failed"),
    Image(name="replacing", text=_REPLACING),
    Image(name="special-files", text=_SPECIAL_FILES),
    Image(name="hostile", text=_HOSTILE),
    Image(name="from-scratch", text=_FROM_SCRATCH, files={"dir/file": "1\n", "link": Symlink("dir")}),
    Image(name="scratch-with-a-program", text=_SCRATCH_WITH_A_PROGRAM),
    Image(
        name="strict-umask",
        text=_STRICT_UMASK,
        files={"f": File(content="x", mode=0o640, uid=3, gid=4), "d": Dir(mode=0o2751), "pipe": Fifo()},
    ),
    Image(name="volume-then-directory", text=_VOLUME_THEN_DIRECTORY),
    Image(name="stages", text=_STAGES),
    Image(name="unpushable-stages", text=_UNPUSHABLE_STAGES, ends="push failed"),
    Image(name="last", text=_LAST),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run of the list: its exit status, what it printed, its folder, and what was seen before each image."""

    status: int
    output: str
    folder: Path
    before: Mapping[str, Seen] = field(default_factory=dict)
    after: Seen = field(default_factory=dict)

    @property
    def ends(self) -> Mapping[str, str]:
        """What became of each image."""
        document = json.loads((self.folder.parent / "krunner-report" / "result.json").read_text())
        return {name: image["status"] for name, image in document["images"].items()}

    def image(self, name: str) -> StoredImage:
        """An image as it was written into an OCI layout."""
        return read_layout(self.folder / "out" / name)


def build_in_place(docker: Docker, workspace: Path, host: str) -> Session:
    """Build in a new container of default capabilities, from a shell with a strict umask. `host` has the bases."""
    workspace.mkdir(parents=True)
    seen: dict[str, Seen] = {}
    with (
        started(docker, workspace) as container,
        serve_gate(lambda name: seen.setdefault(name, look_at(container))) as gate,
    ):
        lay_out(workspace / "list", {"base": host, "push": gate, "gate": gate})
        seen[""] = look_at(container)
        script = "umask 077; exec krunner --rootfs=in-place list/builds.yaml"
        done = container.run("/bin/sh", "-c", script)
        assert container.run("/bin/sh", "-c", "pwd; ps | grep -c '[k]runner'").output == "/workspace\n0\n"
        after = look_at(container)
    return Session(status=done.status, output=done.output, folder=workspace / "list", before=seen, after=after)


def lay_out(folder: Path, hosts: Mapping[str, str]) -> None:
    """Write `builds.yaml` and the contexts of its images; `hosts` gives base, push and gate."""
    builds = []
    for image in IMAGES:
        make_files(folder / image.name, image.files)
        start, rest = image.text.removeprefix("\n").split("\n", 1)
        text = f"{start}\nADD http://{{gate}}/{image.name} /.gate\n{rest}"
        (folder / f"{image.name}.Dockerfile").write_text(_filled(text, hosts))
        builds.append(
            {
                "name": image.name,
                "context": image.name,
                "dockerfile": f"{image.name}.Dockerfile",
                "destinations": [_filled(f"{image.goes_to}/twenty/{image.name}:1", hosts)],
                "oci_layout": f"out/{image.name}",
            }
        )
    defaults = {"insecure": True, "push": {"retries": 0}}
    document = {"version": 1, "defaults": defaults, "builds": builds}
    (folder / "builds.yaml").write_text(json.dumps(document, indent=1))


def _filled(text: str, hosts: Mapping[str, str]) -> str:
    for name, host in hosts.items():
        text = text.replace(f"{{{name}}}", host)
    return text
