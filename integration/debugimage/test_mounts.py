"""Builds in a container that has mounts where images have files, as a pod has them; its store is on a volume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.support.builders import Docker
from integration.support.container import Container, Exec, started

_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def container(krunner_images: Docker, work: Path) -> Iterator[Container]:
    """Mounts at places that the busybox image has as a file, a directory, below a link, and not at all."""
    folder = work / "mounts"
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "checkout").write_text("precious")
    for name in ("hosts", "resolv.conf", "config.json", "passwd"):
        (folder / name).write_text(f"{name} of the pod\n" if name != "config.json" else "{}")
    (folder / "token").mkdir()
    (folder / "token" / "token").write_text("secret")
    volumes = {
        "hosts": "/etc/hosts:ro",
        "resolv.conf": "/etc/resolv.conf:ro",
        "passwd": "/etc/passwd:ro",
        "config.json": "/kaniko/.docker/config.json:ro",
        "token": f"{_TOKENS}:ro",
    }
    mounts = [f"--volume={folder / name}:{place}" for name, place in volumes.items()]
    tmpfs = ("--tmpfs=/opt/data/cache:ro", "--tmpfs=/mnt/a b", "--tmpfs=/store:exec", "--env=KRUNNER_HOME=/store")
    with started(krunner_images, workspace, *mounts, *tmpfs) as container:
        yield container


@pytest.fixture(autouse=True)
def mounts_as_before(container: Container, as_before: None) -> Iterator[None]:
    """After each test what is mounted is as it was too."""
    yield
    done = container.run("/bin/sh", "-c", f"pwd; cat checkout /etc/hosts {_TOKENS}/token; ls /store/work")
    assert done.output == "/workspace\nprecioushosts of the pod\nsecret"


def attempt(container: Container, base_host: str, *lines: str) -> Exec:
    """Build a Dockerfile of these lines, from a shell with a strict umask."""
    (container.workspace / "Dockerfile").write_text("\n".join((f"FROM {base_host}/busybox", *lines)))
    words = "executor --rootfs=in-place --insecure-pull --context=. --no-push"
    return container.run("/bin/sh", "-c", f"umask 077; {words}")


def test_a_volume_and_then_a_directory_of_the_same_name(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        base_host,
        "VOLUME /data",
        "RUN mkdir /data && touch /data/file && chmod 710 /data",
        "RUN test -f /data/file && rmdir /opt/link 2>&1; rm -r /data && ln -s /srv /data",
        f"FROM {base_host}/busybox",
        "COPY --from=0 / /all",
        "RUN test -L /all/data",
    )
    assert done.status == 0, done.output


def test_a_read_only_mount_below_a_path_of_the_image(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        base_host,
        "RUN test -f /opt/data/old && ! touch /opt/data/cache/file && touch /opt/data/new && chmod 700 /opt/data",
        "RUN ! rm -rf /opt && test ! -e /opt/data/new && test -d /opt/data/cache && touch /opt/data/newer",
        f"FROM {base_host}/busybox",
        "COPY --from=0 / /all",
        "RUN test -f /all/opt/data/newer && test ! -e /all/opt/data/cache && test ! -e /all/opt/suid",
    )
    assert done.status == 0, done.output


def test_a_mount_below_a_link_of_the_image(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        base_host,
        "RUN touch /run/one && mkdir /run/two && rm -f /run/lock",
        f"RUN test -f /var/run/one && cat {_TOKENS}/token",
        "RUN rm /var/run/one && touch /var/run/two/in /var/run/new",
        "RUN test ! -e /run/one && test -f /run/two/in && test -f /run/new",
        f"FROM {base_host}/busybox",
        "COPY --from=0 / /all",
        'RUN test "$(readlink /all/var/run)" = ../run && test -f /all/run/two/in && test ! -e /all/run/secrets',
    )
    assert done.status == 0, done.output
    assert "/var/run of the image cannot be seen" not in done.output


def test_a_file_of_the_image_below_a_mount(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        base_host,
        "RUN grep -q pod /etc/passwd && ! echo x >> /etc/passwd && ! rm /etc/passwd",
        f"FROM {base_host}/busybox",
        "COPY --from=0 / /all",
        "RUN grep -q app: /all/etc/passwd",
    )
    assert done.status == 0, done.output
    assert "/etc/passwd of the image cannot be seen" in done.output


def test_a_cache_is_kept_on_the_volume(container: Container, base_host: str) -> None:
    line = "RUN --mount=type=cache,target=/cached echo x >> /cached/log && wc -l < /cached/log"
    first, second = attempt(container, base_host, line), attempt(container, base_host, line)
    assert first.status == second.status == 0, first.output + second.output
    assert "2\n" in second.output


def test_what_a_command_does_to_other_images_does_not_count(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        base_host,
        "RUN find / -perm +6000 -type f -exec chmod a-s {} + ; test ! -u /opt/suid",
        f"FROM {base_host}/busybox",
        "RUN test -u /opt/suid",
        "COPY --from=0 /opt/suid /",
    )
    assert done.status == 0, done.output
    assert "unpacked layers of other images" in done.output


def test_what_a_command_does_to_the_builder_is_undone(container: Container, base_host: str) -> None:
    done = attempt(
        container,
        base_host,
        "RUN rm -r /kaniko/python/lib/python3.11 /kaniko/ssl /bin/sh && touch /dev/shm/x /dev/new",
        f"FROM {base_host}/busybox",
        "COPY --from=0 /etc/group /group",
        "RUN test ! -e /dev/shm/x && test ! -e /dev/new",
    )
    assert done.status == 0, done.output
    assert "of this container: it is as it was again" in done.output
    assert container.run("krunner", "version").status == 0
