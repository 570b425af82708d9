"""Credentials for AWS, from the places that its SDKs look at, in their order.

AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN    the environment
AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN                      a service account of Kubernetes (IRSA), a CI server
~/.aws/credentials, ~/.aws/config, AWS_PROFILE                 keys or a web identity in a file
AWS_CONTAINER_CREDENTIALS_{RELATIVE,FULL}_URI                  ECS, EKS Pod Identity
the instance's metadata service, version 2                     EC2, unless AWS_EC2_METADATA_DISABLED
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from executor.context.objectstores.sigv4 import AwsCredentials
from executor.context.objectstores.tokens import Question, ask, content, field_of, parsed
from executor.errors import ContextError, NotSupportedError

_METADATA = "http://169.254.169.254"
_CONTAINER = "http://169.254.170.2"
_CONTAINER_HOSTS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23", "127.0.0.1", "::1", "localhost")
_ROLE_CREDENTIALS = "/latest/meta-data/iam/security-credentials/"
_SESSION_SECONDS = "3600"
_USUAL_REGION = "us-east-1"
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_TOOLS = {
    "source_profile": "by a role of another profile",
    "credential_source": "by a role",
    "sso_session": "by single sign-on",
    "sso_start_url": "by single sign-on",
    "login_session": "by a login",
    "credential_process": "from a program",
}
"""What in a profile says that keys come from elsewhere, and how."""
_HINT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, mount /root/.aws, or give the pod a role "
    "(docs/build-contexts.md)"
)


def find_credentials(environment: Mapping[str, str]) -> AwsCredentials:
    """The credentials of the first place that has any.

    Raises ContextError when none has, when one is set up only in part, or does not answer as it should.
    """
    return (
        _from_variables(environment)
        or _from_web_identity(environment)
        or _from_file(environment)
        or _from_container(environment)
        or _from_instance(environment)
    )


def find_region(environment: Mapping[str, str]) -> str:
    """AWS_REGION, AWS_DEFAULT_REGION or that of ~/.aws/config, else us-east-1. Raises ContextError."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        region = _configured(environment).get("region") or _USUAL_REGION
    if not _REGION.fullmatch(region):
        raise ContextError(f"{region!r} is not a region of AWS", hint="correct AWS_REGION")
    return region


def _from_variables(environment: Mapping[str, str]) -> AwsCredentials | None:
    access, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
    if not access and not secret:
        return None
    if not (access and secret):
        raise ContextError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together, and only one is set")
    return _checked(access, secret, environment.get("AWS_SESSION_TOKEN", ""), "AWS_ACCESS_KEY_ID")


def _from_web_identity(environment: Mapping[str, str]) -> AwsCredentials | None:
    path, role = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"), environment.get("AWS_ROLE_ARN")
    if not path or not role:
        return None
    return _by_web_identity(environment, path, role)


def _by_web_identity(environment: Mapping[str, str], path: str, role: str) -> AwsCredentials:
    endpoint = environment.get("AWS_ENDPOINT_URL_STS") or environment.get("AWS_ENDPOINT_URL")
    if not endpoint:
        region = find_region(environment)
        endpoint = f"https://sts.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    question = Question(
        what="AWS STS (AssumeRoleWithWebIdentity)",
        url=f"{endpoint.rstrip('/')}/",
        method="POST",
        form={
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": environment.get("AWS_ROLE_SESSION_NAME") or "executor",
            "DurationSeconds": _SESSION_SECONDS,
            "WebIdentityToken": content(path, "AWS_WEB_IDENTITY_TOKEN_FILE").strip(),
        },
    )
    hint = f"the role {role} has to trust the identity in AWS_WEB_IDENTITY_TOKEN_FILE"
    text = ask(question, hint=hint)
    fields = {
        name: found.group(1) if (found := re.search(rf"<{name}>([^<]+)</{name}>", text)) else ""
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    }
    return _answered(question.what, fields, "SessionToken", f"the role {role}")


def _from_file(environment: Mapping[str, str]) -> AwsCredentials | None:
    path = environment.get("AWS_SHARED_CREDENTIALS_FILE") or _home(environment, "credentials")
    profile = _profile(environment)
    section = {**_configured(environment), **_section(path, profile)}
    if "role_arn" in section and "web_identity_token_file" in section:
        return _by_web_identity(environment, section["web_identity_token_file"], section["role_arn"])
    _refuse_tools(profile, section)
    access, secret = section.get("aws_access_key_id", ""), section.get("aws_secret_access_key", "")
    if not (access and secret):
        if environment.get("AWS_SHARED_CREDENTIALS_FILE") or environment.get("AWS_PROFILE"):
            raise ContextError(f"{path} has no keys of the profile {profile!r}", hint=_HINT)
        return None
    return _checked(access, secret, section.get("aws_session_token", ""), path)


def _refuse_tools(profile: str, section: Mapping[str, str]) -> None:
    """Raise NotSupportedError for a profile whose keys AWS's own tools have to fetch."""
    has_keys = "aws_access_key_id" in section
    for name, how in _TOOLS.items():
        if name in section and not (has_keys and name == "credential_process"):
            command = f"aws configure export-credentials --profile {profile} --format env"
            raise NotSupportedError(
                f"the AWS profile {profile!r} gets its keys {how} ({name}), which is left to AWS's own tools",
                hint=f'have them do it: eval "$({command})"',
            )


def _configured(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The profile's section in ~/.aws/config."""
    profile = _profile(environment)
    section = profile if profile == "default" else f"profile {profile}"
    return _section(environment.get("AWS_CONFIG_FILE") or _home(environment, "config"), section)


def _from_container(environment: Mapping[str, str]) -> AwsCredentials | None:
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = f"{_CONTAINER}{relative}" if relative else environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _CONTAINER_HOSTS:
        raise ContextError("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this machine")
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if path := environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = content(path, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    headers = {"Authorization": token.strip()} if token.strip() else {}
    question = Question(what="the container's credential service", url=url, headers=headers, nearby=True)
    return _answered(question.what, parsed(question, ask(question)), "Token", "the container's role")


def _from_instance(environment: Mapping[str, str]) -> AwsCredentials:
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise ContextError("there are no credentials for S3", hint=_HINT)
    endpoint = (environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA).rstrip("/")
    what = "there are no credentials for S3 in the environment, and EC2's metadata service"
    session = Question(
        what=what,
        url=f"{endpoint}/latest/api/token",
        method="PUT",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": "300"},
        nearby=True,
    )
    headers = {"X-aws-ec2-metadata-token": ask(session, hint=_HINT).strip()}
    roles = Question(what=what, url=f"{endpoint}{_ROLE_CREDENTIALS}", headers=headers, nearby=True)
    role = ask(roles, hint="give the instance a role, or set AWS_ACCESS_KEY_ID").strip().partition("\n")[0]
    question = Question(what=what, url=f"{endpoint}{_ROLE_CREDENTIALS}{role}", headers=headers, nearby=True)
    answer = parsed(question, ask(question, hint=_HINT))
    return _answered("EC2's metadata service", answer, "Token", f"the instance's role {role}")


def _answered(what: str, answer: Mapping[str, Any], token: str, origin: str) -> AwsCredentials:
    said = f"the answer of {what}"
    return _checked(
        field_of(said, answer, "AccessKeyId"),
        field_of(said, answer, "SecretAccessKey"),
        field_of(said, answer, token),
        origin,
    )


def _checked(access: str, secret: str, token: str, origin: str) -> AwsCredentials:
    """Keys that fit into a header; line ends around them, as secrets in files have, do not count."""
    access, secret, token = access.strip(), secret.strip(), token.strip()
    if not (access + secret + token).isascii() or not (access + secret + token).isprintable():
        raise ContextError(f"the credentials of {origin} have characters that no credentials have")
    return AwsCredentials(access_key=access, secret_key=secret, session_token=token, origin=origin)


def _profile(environment: Mapping[str, str]) -> str:
    return environment.get("AWS_PROFILE") or "default"


def _home(environment: Mapping[str, str], name: str) -> str:
    return os.path.join(environment.get("HOME") or "/root", ".aws", name)


def _section(path: str, name: str) -> Mapping[str, str]:
    """A section of an INI file; nothing when there is none. Raises ContextError when the file is malformed."""
    if not os.path.exists(path):
        return {}
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(content(path, "credentials of AWS"))
    except configparser.Error:
        raise ContextError(f"{path} is not a file as the AWS tools write it") from None
    return dict(parser[name]) if parser.has_section(name) else {}
