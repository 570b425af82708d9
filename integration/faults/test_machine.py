"""A machine that does not give what a build needs: disk, mounts, root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from integration.faults.conftest import Attempt


def _on_small_disk(attempt: Attempt, size: str = "", inodes: int = 0) -> list[str | Path]:
    """Words that run a build with a tmpfs of such a size as its store, and print what is left in its work/."""
    attempt.home.mkdir(exist_ok=True)
    options = f"size={size or '100%'},nr_inodes={inodes}"  # none of them: as many as one likes
    script = (
        f'mount -t tmpfs -o {options} none "$KRUNNER_HOME" || exit 99; "$@"; status=$?; '
        'echo "left: $(ls "$KRUNNER_HOME/work" | wc -l)"; exit $status'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def test_a_disk_too_small_for_the_base(attempt: Attempt, base_host: str) -> None:
    outcome = attempt(f"FROM {base_host}/busybox\nRUN true\n", "--no-push", prefix=_on_small_disk(attempt, "700k"))
    assert outcome.status == 4, outcome.log
    assert "no space left" in outcome.log.lower()
    assert "left: 0" in outcome.log


def test_a_disk_too_small_for_a_copy(attempt: Attempt) -> None:
    (attempt.context / "large").write_bytes(os.urandom(6 << 20))
    outcome = attempt("FROM scratch\nCOPY large /\n", "--no-push", prefix=_on_small_disk(attempt, "4m"))
    assert outcome.status == 4, outcome.log
    assert "no space left" in outcome.log.lower()
    assert "left: 0" in outcome.log


def test_a_disk_too_small_for_a_layer(attempt: Attempt) -> None:
    (attempt.context / "large").write_bytes(os.urandom(6 << 20))
    outcome = attempt("FROM scratch\nCOPY large /\n", "--no-push", prefix=_on_small_disk(attempt, "9m"))
    assert outcome.status == 4, outcome.log
    assert "no space left" in outcome.log.lower()
    assert "left: 0" in outcome.log


def test_a_disk_without_inodes_wherever_they_end(attempt: Attempt, base_host: str) -> None:
    (attempt.context / "file").write_text("content")
    dockerfile = (
        f"FROM {base_host}/busybox AS one\nCOPY --link file /a/\nRUN --mount=type=cache,target=/c mkdir /b\n"
        "FROM scratch\nWORKDIR /w\nCOPY --from=one /a /a\nADD file /f\n"
    )
    enough, words = 1000, ("no space left", "no root filesystem", "cannot mount", "read-only file system")
    statuses = []
    for inodes in range(20, enough, 29):
        outcome = attempt(dockerfile, "--no-push", prefix=_on_small_disk(attempt, inodes=inodes))
        statuses.append(outcome.status)
        assert "left: 0" in outcome.log or outcome.status == 4
        if outcome.status == 0:
            break
        assert any(word in outcome.log.lower() for word in words), outcome.log
    assert set(statuses) <= {0, 1, 4}
    assert statuses.count(4) > 1, statuses
    assert statuses[-1] == 0


def test_a_run_that_fills_the_disk(attempt: Attempt, base_host: str) -> None:
    dockerfile = f"FROM {base_host}/busybox\nRUN dd if=/dev/zero of=/large bs=1M count=50\n"
    outcome = attempt(dockerfile, "--no-push", prefix=_on_small_disk(attempt, "16m"))
    assert outcome.status == 1, outcome.log
    assert "no space left" in outcome.log.lower()
    assert "left: 0" in outcome.log


def _without_mounts(attempt: Attempt) -> list[str | Path]:
    """Words that run a build without CAP_SYS_ADMIN and, in a chroot, without user namespaces."""
    root = attempt.folder / "root"
    root.mkdir()
    script = (
        f'mount --rbind / "{root}" || exit 99; '
        f'exec chroot "{root}" setpriv --bounding-set -sys_admin --inh-caps -sys_admin "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def test_no_permission_to_mount(attempt: Attempt, base_host: str) -> None:
    """Overlay cannot work then and says so; chroot can."""
    (attempt.context / "a").write_text("a")
    dockerfile = f"FROM {base_host}/busybox\nCOPY a /\nRUN test -e /a\n"
    outcome = attempt(dockerfile, "--no-push", prefix=_without_mounts(attempt))
    if attempt.driver == "chroot":
        assert outcome.status == 0, outcome.log
    else:
        assert outcome.status == 4, outcome.log
        assert "not permitted" in outcome.log
        assert "--rootfs" in outcome.log


def test_auto_falls_back_to_what_works(attempt: Attempt, base_host: str) -> None:
    dockerfile = f"FROM {base_host}/busybox\nRUN true\n"
    outcome = attempt(dockerfile, "--no-push", "--rootfs=auto", prefix=_without_mounts(attempt))
    assert outcome.status == 0, outcome.log
    assert "chroot" in outcome.log


def test_no_capabilities_at_all(attempt: Attempt, base_host: str) -> None:
    prefix = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    outcome = attempt(f"FROM {base_host}/busybox\nRUN true\n", "--no-push", prefix=prefix)
    assert outcome.status == 4, outcome.log
    assert "hint" in outcome.log
    assert "Traceback" not in outcome.log


def test_a_store_that_cannot_be_made(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    attempt.env["KRUNNER_HOME"] = str(tmp_path / "file" / "home")
    outcome = attempt("FROM scratch\nENV a=1\n", "--no-push")
    assert outcome.status == 4, outcome.log
    assert str(tmp_path / "file") in outcome.log


@pytest.mark.parametrize("umask", ["077", "000"])
def test_the_umask_does_not_matter(attempt: Attempt, base_host: str, umask: str, tmp_path: Path) -> None:
    (attempt.context / "a").write_text("a")
    (attempt.context / "a").chmod(0o644)
    digests = []
    for name, mask in (("usual", "022"), ("other", umask)):
        file = tmp_path / name
        script = ["sh", "-c", f'umask {mask}; exec "$@"', "sh"]
        dockerfile = f"FROM {base_host}/busybox\nWORKDIR /w\nCOPY a sub/\nRUN mkdir d\n"
        outcome = attempt(dockerfile, "--no-push", "--reproducible", f"--digest-file={file}", prefix=script)
        assert outcome.status == 0, outcome.log
        digests.append(file.read_text())
    assert digests[0] == digests[1]
