"""Builds whose context is in an object store, and what is said when it cannot be had."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from integration.support.builders import BIN
from integration.support.emulators import BUCKET, Store, serve_gcs, serve_s3
from integration.support.flatten import flatten
from integration.support.images import read_layout
from integration.support.memory import peaks
from tests.support.fake_cloud import Answer, serve_cloud

NAME = "team a/c+d.tar.gz"
CLOUDS = ("AWS_", "S3_", "GOOGLE_", "GCE_", "STORAGE_", "AZURE_", "KRUNNER_", "KANIKO_")
SIZE = 120 << 20


def archive_of(folder: Path, content: bytes) -> Path:
    """A context of a Dockerfile and a file of `content`."""
    path = folder / "context.tar.gz"
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /there\n")
    (folder / "file").write_bytes(content)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in ("Dockerfile", "file"):
            tar.add(folder / name, name)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of(tmp_path_factory.mktemp("context"), b"content")


@pytest.fixture(scope="module")
def s3(work: Path, archive: Path) -> Iterator[Store]:
    with serve_s3(work / "s3") as store:
        store.put(NAME, archive)
        store.put("context.tar.gz", archive)
        yield store


@pytest.fixture(scope="module")
def gcs(work: Path, archive: Path) -> Iterator[Store]:
    with serve_gcs(work / "gcs", "team/context.tar.gz", archive) as store:
        yield store


def environment(folder: Path, variables: Mapping[str, str]) -> Mapping[str, str]:
    """No variables of clouds but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CLOUDS)}
    return {**kept, "KRUNNER_HOME": str(folder / "home"), "HOME": str(folder), **variables}


def command(folder: Path, *words: str) -> list[str | Path]:
    """A build into the layout `folder/layout`."""
    return [BIN / "executor", "--no-push", f"--oci-layout-path={folder / 'layout'}", *words]


def built(folder: Path, variables: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    env = environment(folder, variables)
    return subprocess.run(
        command(folder, *words), env=env, capture_output=True, text=True, timeout=120, check=False
    )


def checked(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert flatten(read_layout(folder / "layout"))["/there"].size == len(b"content")


@pytest.mark.parametrize("context", [f"s3://{BUCKET}/{NAME}", f"s3://{BUCKET}"])
def test_a_context_in_s3(context: str, s3: Store, tmp_path: Path) -> None:
    done = built(tmp_path, s3.variables, f"--context={context}")
    checked(tmp_path, done)
    assert s3.variables["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


def test_keys_in_a_file(s3: Store, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[default]\naws_access_key_id={s3.variables['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key={s3.variables['AWS_SECRET_ACCESS_KEY']}\n"
    )
    variables = {name: s3.variables[name] for name in ("S3_ENDPOINT", "AWS_REGION")}
    checked(tmp_path, built(tmp_path, variables, f"--context=s3://{BUCKET}/{NAME}"))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("none", {}, r"s3://contexts/none: there is no such object in the bucket"),
        (NAME, {"AWS_SECRET_ACCESS_KEY": "wr0ng"}, "403 SignatureDoesNotMatch.*the secret key does not belong"),
        (NAME, {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "403 InvalidAccessKeyId"),
        (NAME, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
         "there are no credentials for S3.*hint: set AWS_ACCESS_KEY_ID"),
    ],
)  # fmt: skip
def test_what_s3_refuses(name: str, change: dict[str, str], message: str, s3: Store, tmp_path: Path) -> None:
    done = built(tmp_path, {**s3.variables, **change}, f"--context=s3://{BUCKET}/{name}")
    assert done.returncode == 1
    assert re.search(message, done.stderr, re.DOTALL), done.stderr
    assert "Traceback" not in done.stderr
    for secret in (s3.variables["AWS_SECRET_ACCESS_KEY"], "wr0ng"):
        assert secret not in done.stdout + done.stderr
    assert not (tmp_path / "layout").exists()


@pytest.mark.parametrize(
    "words", [["--context=gs://contexts/team/context.tar.gz"], ["--bucket=contexts/team/context.tar.gz"]]
)
def test_a_context_in_google_cloud_storage(words: list[str], gcs: Store, tmp_path: Path) -> None:
    checked(tmp_path, built(tmp_path, gcs.variables, *words))


def test_an_object_that_google_does_not_have(gcs: Store, tmp_path: Path) -> None:
    done = built(tmp_path, gcs.variables, "--context=gs://contexts/none.tar.gz")
    assert done.returncode == 1
    assert "gs://contexts/none.tar.gz: there is no such object or bucket" in done.stderr


def test_a_blob_of_azure(archive: Path, tmp_path: Path) -> None:
    blob = "http://account.blob.core.windows.net/box/context.tar.gz"
    with serve_cloud() as cloud:
        cloud.answers[f"GET {blob}"] = Answer(archive.read_bytes())
        variables = {"http_proxy": cloud.url, "no_proxy": "", "AZURE_STORAGE_ACCESS_KEY": "czNjcmV0"}
        checked(tmp_path, built(tmp_path, variables, f"--context={blob}"))
        assert cloud.notes[0].headers["Authorization"].startswith("SharedKey account:")
        cloud.answers.clear()
        done = built(tmp_path, variables, f"--context={blob}?sig=s3cret")
        assert (done.returncode, "s3cret" in done.stderr, "czNjcmV0" in done.stderr) == (1, False, False)


def test_a_metadata_server_that_hangs_ends_the_build(tmp_path: Path) -> None:
    with serve_cloud() as cloud:
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        cloud.answers[f"GET {path}"] = Answer(after=600)
        done = built(
            tmp_path, {"GCE_METADATA_HOST": cloud.url.removeprefix("http://")}, "--context=gs://contexts/c"
        )
    assert done.returncode == 1
    assert "the metadata server 127.0.0.1" in done.stderr
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in done.stderr
    assert len(cloud.notes) == 1


def test_a_large_archive_is_not_held_in_memory(s3: Store, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    s3.put("large", archive_of(tmp_path / "large", os.urandom(SIZE)))
    words = command(tmp_path, f"--context=s3://{BUCKET}/large", "--compression-level=0")
    process = subprocess.Popen(words, env=environment(tmp_path, s3.variables))
    found = peaks(process)
    assert process.returncode == 0
    assert 0 < max(found.values()) < SIZE * 2 // 3
