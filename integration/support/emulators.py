"""Object stores on loopback: an S3 that checks signatures, and Google Cloud Storage."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.support.programs import answers, free_port, server

BUCKET = "contexts"
_REGION = "eu-central-1"
_SET_UP = 3  # requests that moto takes from anybody: what `_user` asks for
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": "*"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """`variables` are what an executor needs for the objects of BUCKET, `log` has a line for each request."""

    variables: Mapping[str, str]
    log: Path
    client: Any = None

    def put(self, name: str, archive: Path) -> None:
        """Put an object into an S3."""
        self.client.upload_file(str(archive), BUCKET, name)


@contextlib.contextmanager
def serve_s3(folder: Path) -> Iterator[Store]:
    """Moto's S3: every request must be signed with the keys of a user who may do it."""
    import boto3

    folder.mkdir()
    port, log = free_port(), folder / "s3.log"
    argv = [sys.executable, "-m", "moto.server", "-p", str(port)]
    endpoint = f"http://127.0.0.1:{port}"
    with server(argv, log=log, ready=lambda: answers(port), env={"INITIAL_NO_AUTH_ACTION_COUNT": str(_SET_UP)}):
        access, secret = _user(endpoint)
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=_REGION,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
        )
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
        variables = {
            "S3_ENDPOINT": endpoint,
            "AWS_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        yield Store(variables=variables, log=log, client=client)
        client.close()


def _user(endpoint: str) -> tuple[str, str]:
    import boto3

    iam = boto3.client(
        "iam",
        endpoint_url=endpoint,
        region_name=_REGION,
        aws_access_key_id="anybody",
        aws_secret_access_key="none",
    )
    iam.create_user(UserName="ci")
    iam.put_user_policy(UserName="ci", PolicyName="contexts", PolicyDocument=json.dumps(_POLICY))
    key = iam.create_access_key(UserName="ci")["AccessKey"]
    iam.close()
    return key["AccessKeyId"], key["SecretAccessKey"]


@contextlib.contextmanager
def serve_gcs(folder: Path, name: str, archive: Path) -> Iterator[Store]:
    """An emulator of Google Cloud Storage whose BUCKET has `archive` as `name`."""
    folder.mkdir()
    port, log = free_port(), folder / "gcs.log"
    argv = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    argv += ["--in-memory", f"--default-bucket={BUCKET}"]
    with server(argv, log=log, ready=lambda: answers(port)):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}",
            data=archive.read_bytes(),
            headers={"Content-Type": "application/gzip"},
        )
        urllib.request.urlopen(request, timeout=20).close()
        yield Store(variables={"STORAGE_EMULATOR_HOST": f"127.0.0.1:{port}"}, log=log)
