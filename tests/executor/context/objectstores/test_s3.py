"""Objects of S3: signatures, URLs, regions, and the places that credentials come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from executor.context.http import download_from
from executor.context.objectstores import tokens
from executor.context.objectstores.awscredentials import find_credentials, find_region
from executor.context.objectstores.s3 import S3Object
from executor.context.objectstores.sigv4 import AwsCredentials, signed_headers
from executor.errors import ContextError, NotSupportedError
from executor.events import Event, RetryScheduled, discard
from tests.support.fake_cloud import Answer, Cloud

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret"}
GIVEN = {"AccessKeyId": "ASIA", "SecretAccessKey": "s3cret", "Token": "t0ken"}
EXPECTED = ("ASIA", "s3cret", "t0ken")


def test_the_signature_of_the_specifications_example() -> None:
    # Amazon S3 API Reference, "Examples: Signature Calculations", GET Object
    credentials = AwsCredentials(
        access_key="AKIAIOSFODNN7EXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    )
    made = signed_headers(
        "https://examplebucket.s3.amazonaws.com/test.txt",
        credentials,
        "us-east-1",
        datetime(2013, 5, 24, tzinfo=UTC),
        {"range": "bytes=0-9"},
    )
    assert made["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("s3://box/a/c.tar.gz", {}, "https://box.s3.us-east-1.amazonaws.com/a/c.tar.gz"),
        ("s3://box", {}, "https://box.s3.us-east-1.amazonaws.com/context.tar.gz"),
        ("s3://box/", {}, "https://box.s3.us-east-1.amazonaws.com/context.tar.gz"),
        ("s3://box/a b+%é", {}, "https://box.s3.us-east-1.amazonaws.com/a%20b%2B%25%C3%A9"),
        ("s3://box/k", {"AWS_REGION": "cn-north-1"}, "https://box.s3.cn-north-1.amazonaws.com.cn/k"),
        ("s3://b.o.x/k", {}, "https://s3.us-east-1.amazonaws.com/b.o.x/k"),
        ("s3://box/k", {"S3_FORCE_PATH_STYLE": "true"}, "https://s3.us-east-1.amazonaws.com/box/k"),
        ("s3://box/k", {"S3_ENDPOINT": "http://minio:9000"}, "http://box.minio:9000/k"),
        ("s3://box/k", {"S3_ENDPOINT": "minio:9000", "S3_FORCE_PATH_STYLE": "true"}, "https://minio:9000/box/k"),
        ("s3://box/k", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"}, "http://127.0.0.1:9000/box/k"),
        ("s3://box/k", {"S3_ENDPOINT": "http://[::1]:9000"}, "http://[::1]:9000/box/k"),
        ("s3://box/k", {"S3_ENDPOINT": "https://Minio.Example:443"}, "https://box.minio.example/k"),
        ("s3://box/k", {"S3_ENDPOINT": "http://minio:80"}, "http://box.minio/k"),
        ("s3://box/k", {"S3_ENDPOINT": "http://minio:443"}, "http://box.minio:443/k"),
    ],
)
def test_where_an_object_is(url: str, environment: dict[str, str], expected: str) -> None:
    assert S3Object(url, {**KEYS, "HOME": "/none", **environment}).ask().url == expected


@pytest.mark.parametrize(
    ("url", "environment", "message"),
    [
        ("s3://", {}, "no bucket"),
        ("s3:///k", {}, "no bucket"),
        ("s3://user:s3cret@box/k", {}, "no bucket"),
        ("s3://b%x/k", {}, "cannot be a bucket's name"),
        ("s3://box/k", {"S3_ENDPOINT": "ftp://h"}, "S3_ENDPOINT is not the URL of a server"),
        ("s3://box/k", {"AWS_REGION": "a.b/c"}, "is not a region"),
        ("s3://box/k", {"AWS_ACCESS_KEY_ID": "a"}, "belong together"),
        ("s3://box/k", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s3cret\nx"}, "characters that no"),
        ("s3://box/k", {"AWS_EC2_METADATA_DISABLED": "true"}, "there are no credentials for S3"),
        ("s3://box/k", {"AWS_PROFILE": "ci"}, "no keys of the profile 'ci'"),
    ],
)
def test_what_cannot_be_asked_for(url: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(ContextError, match=message) as caught:
        S3Object(url, {"HOME": "/none", **environment}).ask()
    assert "s3cret" not in caught.value.describe()


def fetched(cloud: Cloud, folder: Path, environment: Mapping[str, str] = KEYS, events: list[Event] | None = None):
    source = S3Object("s3://box/c", {"S3_ENDPOINT": cloud.url, "HOME": "/none", **environment})
    return download_from(source, str(folder), discard if events is None else events.append)


def test_a_bucket_elsewhere_is_asked_for_in_its_region(cloud: Cloud, tmp_path: Path) -> None:
    def answer(note):
        if "/eu-west-1/" in note.headers["Authorization"]:
            return Answer(b"content")
        return Answer(status=400, headers={"x-amz-bucket-region": "eu-west-1"})

    cloud.answers["GET /box/c"] = answer
    events: list[Event] = []
    assert Path(fetched(cloud, tmp_path, events=events).path).read_bytes() == b"content"
    (retry,) = events
    assert isinstance(retry, RetryScheduled)
    assert retry.error == "s3://box/c: the bucket is in the region eu-west-1, not us-east-1"


@pytest.mark.parametrize(
    ("status", "code", "message", "tries"),
    [
        (404, "NoSuchKey", "s3://box/c: there is no such object in the bucket", 1),
        (404, "NoSuchBucket", "s3://box/c: there is no such bucket", 1),
        (403, "AccessDenied", "answered 403 AccessDenied, asked with the credentials of AWS_ACCESS_KEY_ID", 1),
        (403, "SignatureDoesNotMatch", "answered 403 SignatureDoesNotMatch", 1),
        (307, "TemporaryRedirect", "answered 307 Temporary Redirect", 1),
        (503, "SlowDown", "answered 503 SlowDown", 4),
    ],
)
def test_what_the_store_refuses(
    status: int, code: str, message: str, tries: int, cloud: Cloud, tmp_path: Path
) -> None:
    body = f"<Error><Code>{code}</Code><Message>s3cret</Message></Error>"
    cloud.answers["GET /box/c"] = Answer(body, status, {"Location": f"{cloud.url}/elsewhere"})
    with pytest.raises(ContextError, match=message) as caught:
        fetched(cloud, tmp_path)
    assert "s3cret" not in caught.value.describe()
    assert cloud.asked == ["GET /box/c"] * tries


def test_what_netrc_says_does_not_replace_the_signature(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password x\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    cloud.answers["GET /box/c"] = Answer(b"content")
    fetched(cloud, tmp_path)
    assert cloud.notes[0].headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")


def found(environment: Mapping[str, str]) -> tuple[str, str, str]:
    made = find_credentials({"HOME": "/none", **environment})
    assert "s3cret" not in repr(made) + made.origin
    return made.access_key, made.secret_key, made.session_token


def test_keys_of_a_file(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = s%3cret\n"
        "[ci]\naws_access_key_id = ASIA\naws_secret_access_key = s3cret\naws_session_token = t0ken\n"
    )
    (tmp_path / ".aws/config").write_text("[default]\nregion = eu-west-1\n[profile ci]\nregion = eu-west-3\n")
    home = {"HOME": str(tmp_path)}
    assert (found(home), find_region(home)) == (("A", "s%3cret", ""), "eu-west-1")
    assert (found({**home, "AWS_PROFILE": "ci"}), find_region({**home, "AWS_PROFILE": "ci"})) == (
        EXPECTED,
        "eu-west-3",
    )


def test_a_web_identity(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("identity\n")
    cloud.answers["POST /"] = Answer(
        "<R><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>"
        "<SessionToken>t0ken</SessionToken></Credentials></R>"
    )
    variables = {
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/ci",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": cloud.url,
    }
    assert found(variables) == EXPECTED
    assert parse_qs(cloud.notes[0].body)["WebIdentityToken"] == ["identity"]
    assert cloud.asked == ["POST /"], "the token is not in the URL"
    cloud.answers["POST /"] = Answer("<Error><Message>identity</Message></Error>", 403)
    with pytest.raises(ContextError, match=r"AssumeRoleWithWebIdentity\) answered 403") as caught:
        found(variables)
    assert "identity'" not in caught.value.describe()
    assert "role/ci has to trust" in caught.value.hint


def test_a_containers_credentials(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("bearer\n")
    cloud.answers["GET /v1/credentials"] = Answer(json.dumps(GIVEN))
    variables = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{cloud.url}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    assert found(variables) == EXPECTED
    assert cloud.notes[0].headers["Authorization"] == "bearer"
    with pytest.raises(ContextError, match="neither https nor of this machine"):
        found({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/"})


def test_an_instances_role(cloud: Cloud) -> None:
    path = "/latest/meta-data/iam/security-credentials/"
    cloud.answers["PUT /latest/api/token"] = Answer("session")
    cloud.answers[f"GET {path}"] = Answer("builder\n")
    cloud.answers[f"GET {path}builder"] = Answer(json.dumps(GIVEN))
    assert found({"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url}) == EXPECTED
    assert [note.headers["X-aws-ec2-metadata-token"] for note in cloud.notes] == [None, "session", "session"]


@pytest.mark.parametrize(
    "answer", ["", "[]", "{", "[" * 100_000, '{"AccessKeyId": "s3cret"}', '{"AccessKeyId": 3}']
)
def test_a_credential_service_that_talks_nonsense(answer: str, cloud: Cloud) -> None:
    cloud.answers["GET /c"] = Answer(answer)
    with pytest.raises(ContextError, match="credential service") as caught:
        found({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{cloud.url}/c"})
    assert "s3cret" not in caught.value.describe()


def test_a_credential_service_that_hangs(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_NEARBY", (0.2, 0.2))
    cloud.answers["PUT /latest/api/token"] = Answer("session", after=60)
    with pytest.raises(ContextError, match="EC2's metadata service cannot be asked: ") as caught:
        found({"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url})
    assert "mount /root/.aws" in caught.value.hint
    assert len(cloud.notes) == 1, "asked once"


def test_a_credential_service_that_never_ends(cloud: Cloud) -> None:
    cloud.answers["GET /c"] = Answer(b"x" * (1 << 19))
    with pytest.raises(ContextError, match="with too much"):
        found({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{cloud.url}/c"})


def profile_of(folder: Path, credentials: str, config: str) -> dict[str, str]:
    (folder / ".aws").mkdir()
    (folder / ".aws/credentials").write_text(credentials)
    (folder / ".aws/config").write_text(config)
    return {"HOME": str(folder), "AWS_PROFILE": "ci", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.mark.parametrize(
    ("credentials", "config", "how"),
    [
        (
            "[base]\naws_access_key_id = A\n",
            "[profile ci]\nrole_arn = r\nsource_profile = base\n",
            "source_profile",
        ),
        ("[ci]\nrole_arn = r\nsource_profile = base\n", "", "source_profile"),
        (
            "[ci]\naws_access_key_id = A\naws_secret_access_key = S\n",
            "[profile ci]\nrole_arn = r\nsource_profile = ci\n",
            "source_profile",
        ),
        ("", "[profile ci]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata\n", "credential_source"),
        ("", "[profile ci]\nsso_session = work\nsso_account_id = 1\n", "sso_session"),
        ("", "[profile ci]\nsso_start_url = https://x.example/start\n", "sso_start_url"),
        ("", "[profile ci]\ncredential_process = /bin/x\n", "credential_process"),
    ],
)
def test_profiles_that_are_left_to_awss_tools(tmp_path: Path, credentials: str, config: str, how: str) -> None:
    """They are told of with the way out, before any metadata service is asked."""
    with pytest.raises(NotSupportedError, match=rf"profile 'ci' gets its keys .* \({how}\)") as caught:
        find_credentials(profile_of(tmp_path, credentials, config))
    assert "aws configure export-credentials --profile ci --format env" in caught.value.hint


def test_keys_in_the_configuration(tmp_path: Path) -> None:
    """AWS's tools take them from there too; beside a program they are what counts."""
    keys = "[profile ci]\naws_access_key_id = A\naws_secret_access_key = S\ncredential_process = /bin/x\n"
    found = find_credentials(profile_of(tmp_path, "", keys))
    assert (found.access_key, found.secret_key) == ("A", "S")


def test_a_profile_with_a_web_identity(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    fields = "".join(f"<{name}>{name}</{name}>" for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    cloud.answers["POST /"] = Answer(f"<Credentials>{fields}</Credentials>")
    config = f"[profile ci]\nrole_arn = arn:r\nweb_identity_token_file = {tmp_path}/token\n"
    environment = profile_of(tmp_path, "", config) | {"AWS_ENDPOINT_URL_STS": cloud.url}
    assert find_credentials(environment).access_key == "AccessKeyId"
    assert "RoleArn=arn%3Ar" in cloud.notes[0].body
