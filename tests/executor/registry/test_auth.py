"""Authorization: challenges, token exchange, scopes, expiry, and secrets that stay where they belong."""

from __future__ import annotations

import base64
import io
import string
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import AuthError, RegistryError
from executor.events import discard
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.reference import Reference
from executor.registry.auth import Authorizer, Challenge, parse_challenges
from executor.registry.client import RegistryClient
from executor.registry.credentials import Credential, Keychain, Secret
from executor.registry.transport import Transport
from executor.spec import RegistryOptions
from tests.executor.registry.conftest import ClientMaker, FixedKeychain, bob
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import small_image


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        ("BEARER Realm=https://a/b?c=d", [Challenge("bearer", {"realm": "https://a/b?c=d"})]),
        (
            'Bearer realm="https://a/t",service="s", scope="repository:x:pull,push"',
            [Challenge("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"})],
        ),
        (
            'Negotiate, Basic realm="a \\"quoted\\" one, with comma", Bearer realm = "r" , error=x',
            [
                Challenge("negotiate"),
                Challenge("basic", {"realm": 'a "quoted" one, with comma'}),
                Challenge("bearer", {"realm": "r", "error": "x"}),
            ],
        ),
        ('realm="lost"', []),
        (",,, Basic ,,", [Challenge("basic")]),
    ],
)
def test_reading_challenges(header: str, challenges: list[Challenge]) -> None:
    assert parse_challenges(header) == challenges


@given(st.text(max_size=80))
def test_any_header_can_be_read(header: str) -> None:
    parse_challenges(header)


_LETTERS = string.ascii_lowercase
_token = st.builds(add, st.sampled_from(_LETTERS), st.text(f"{_LETTERS}{string.digits}-", max_size=8))


@given(
    st.lists(st.builds(Challenge, _token, st.dictionaries(_token, st.text(max_size=12), min_size=1)), max_size=3)
)
def test_what_is_written_reads_back(challenges: list[Challenge]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{c.scheme} " + ", ".join(f"{key}={quoted(value)}" for key, value in c.parameters.items())
        for c in challenges
    )
    assert parse_challenges(header) == challenges


def serve(registry: FakeRegistry, repository: str = "team/app") -> Reference:
    image = small_image()
    registry.add_manifest(repository, "1", image.manifest.media_type, image.manifest.to_bytes())
    return Reference.parse(f"{registry.host}/{repository}:1")


@pytest.fixture
def basic() -> FakeRegistry:
    registry = FakeRegistry(auth="basic")
    registry.users["bob"] = "s3cret-of-bob"
    return registry


@pytest.fixture
def bearer() -> FakeRegistry:
    registry = FakeRegistry(auth="bearer")
    registry.users["bob"] = "s3cret-of-bob"
    return registry


def test_nothing_is_sent_before_a_challenge(registry: FakeRegistry, client: ClientMaker) -> None:
    client(keychain=bob()).get_manifest(serve(registry))
    assert all("authorization" not in request.headers for request in registry.requests)


def test_basic_answers_once_and_then_comes_along(basic: FakeRegistry, client: ClientMaker) -> None:
    with basic as registry:
        reference = serve(registry)
        pulling = client(keychain=bob())
        pulling.get_manifest(reference)
        pulling.get_manifest(reference)
        expected = "Basic " + base64.b64encode(b"bob:s3cret-of-bob").decode()
        assert [request.headers.get("authorization") for request in registry.requests] == [
            None,
            expected,
            expected,
        ]


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_wrong_password_names_all_but_itself(
    basic: FakeRegistry, bearer: FakeRegistry, client: ClientMaker, scheme: str
) -> None:
    with basic if scheme == "basic" else bearer as registry:
        reference = serve(registry)
        registry.faults.append(
            Fault(
                path="/token",
                status=401,
                times=9,
                body=b'{"errors":[{"code":"X","message":"wr0ng-pass refused"}]}',
            )
        )
        with pytest.raises(AuthError) as caught:
            client(keychain=bob("wr0ng-pass")).get_manifest(reference)
        message = caught.value.describe()
        for part in (registry.host, "team/app", "'bob'", "/home/bob/config.json", "401"):
            assert part in message
        assert "wr0ng-pass" not in message
        assert caught.value.status == 401
        assert not caught.value.retryable
        assert len(registry.requests) <= 3


def test_without_credentials_the_hint_says_where_to_put_them(basic: FakeRegistry, client: ClientMaker) -> None:
    with basic as registry, pytest.raises(AuthError) as caught:
        client().get_manifest(serve(registry))
    assert "asked without credentials" in str(caught.value)
    assert "config.json" in caught.value.hint


def test_bearer_gets_a_token_for_what_it_needs_and_keeps_it(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        reference = serve(registry)
        pulling = client(keychain=bob())
        pulling.get_manifest(reference)
        pulling.head_manifest(reference)
        (token,) = registry.seen("GET", "/token")
        assert token.query["scope"] == "repository:team/app:pull"
        assert token.query["service"] == "fake"
        pulling.get_manifest(serve(registry, "team/other"))
        assert [seen.query["scope"] for seen in registry.seen("GET", "/token")] == [
            "repository:team/app:pull",
            "repository:team/other:pull",
        ]


def test_anonymous_tokens(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        registry.anonymous = True
        client().get_manifest(serve(registry))
        assert "authorization" not in registry.seen("GET", "/token")[0].headers


def test_an_identity_token_is_exchanged_by_post(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        registry.refresh_tokens.add("identity & token")
        keychain = FixedKeychain(Credential(identity_token=Secret("identity & token"), origin="x"))
        client(keychain=keychain).get_manifest(serve(registry))
        assert registry.seen("GET", "/token") == []
        assert registry.tokens == {"token-0": "repository:team/app:pull"}


def test_a_registry_token_is_used_as_it_is(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        registry.tokens["ready-made"] = "repository:team/app:pull"
        keychain = FixedKeychain(Credential(registry_token=Secret("ready-made"), origin="x"))
        client(keychain=keychain).get_manifest(serve(registry))
        assert registry.seen("GET", "/token") == []


def test_a_refused_token_is_renewed_once(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        reference = serve(registry)
        pulling = client(keychain=bob())
        pulling.get_manifest(reference)
        registry.tokens.clear()
        pulling.get_manifest(reference)
        assert len(registry.seen("GET", "/token")) == 2


def test_a_token_is_renewed_before_it_expires() -> None:
    now = 0.0
    registry = FakeRegistry(auth="bearer")
    registry.anonymous, registry.token_seconds = True, 60
    with registry:
        authorizer = Authorizer(Transport(registry.host, RegistryOptions(), "pull"), Keychain(), clock=lambda: now)
        scopes = ("repository:x:pull",)
        first = authorizer.answer(f'Bearer realm="{registry.url}/token"', "x", scopes, refused="")
        now = 49.0
        assert authorizer.header("x", scopes) == first
        now = 51.0
        assert authorizer.header("x", scopes) not in ("", first)


def test_a_token_that_claims_to_live_for_longer_than_numbers_go() -> None:
    with FakeRegistry(auth="bearer") as registry:
        registry.anonymous, registry.token_seconds = True, 10**400
        authorizer = Authorizer(Transport(registry.host, RegistryOptions(), "pull"), Keychain())
        scopes = ("repository:x:pull",)
        first = authorizer.answer(f'Bearer realm="{registry.url}/token"', "x", scopes, refused="")
        assert authorizer.header("x", scopes) == first


def test_a_push_asks_for_push_and_a_mount_for_its_source_too(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        blob = Descriptor.of("", b"blob")
        registry.add_blob("base/image", b"blob")
        pushing = client("push", keychain=bob())
        outcome = pushing.upload_blob(
            f"{registry.host}/team/app",
            blob,
            lambda: io.BytesIO(b"blob"),
            mount_from=f"{registry.host}/base/image",
        )
        assert outcome == "mounted"
        assert list(registry.tokens.values()) == ["repository:team/app:pull,push repository:base/image:pull"]


def test_scopes_only_the_registry_knows_are_asked_for(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        registry.challenge_scope = "repository:team/app:pull registry:catalog:*"
        pulling = client(keychain=bob())
        reference = serve(registry)
        pulling.get_manifest(reference)
        pulling.get_manifest(reference)
        assert list(registry.tokens.values()) == ["repository:team/app:pull registry:catalog:*"]


def test_a_challenge_without_a_known_scheme_is_a_refusal(registry: FakeRegistry, client: ClientMaker) -> None:
    reference = serve(registry)
    registry.faults.append(Fault(path="/v2/", status=401, times=9, headers={"WWW-Authenticate": "Negotiate"}))
    with pytest.raises(AuthError):
        client(keychain=bob()).get_manifest(reference)


def test_a_registry_that_challenges_only_at_its_root(basic: FakeRegistry, client: ClientMaker) -> None:
    with basic as registry:
        reference = serve(registry)
        registry.faults.append(Fault(path="/manifests/", status=401))
        assert client(keychain=bob()).get_manifest(reference).content


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (Fault(path="/token", body=b"{}", status=200), "gave no token"),
        (Fault(path="/token", body=b'{"token": "a\\nb"}', status=200), "gave no token"),
        (Fault(path="/token", body=b"<html>", status=200), "something else than a JSON object"),
        (Fault(path="/token", body=b"<html>down", status=404), "cannot get a token for repository:team/app:pull"),
    ],
)
def test_broken_token_services(bearer: FakeRegistry, client: ClientMaker, fault: Fault, complaint: str) -> None:
    fault.times = 9
    with bearer as registry:
        reference = serve(registry)
        registry.faults.append(fault)
        with pytest.raises(RegistryError, match=complaint):
            client(keychain=bob()).get_manifest(reference)


def test_a_busy_token_service_is_asked_again(bearer: FakeRegistry, client: ClientMaker) -> None:
    with bearer as registry:
        reference = serve(registry)
        registry.faults.append(Fault(path="/token", status=503, times=2))
        client(keychain=bob()).get_manifest(reference)


def test_a_password_is_not_sent_to_a_token_service_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport("registry.example.com", RegistryOptions(), "pull")
    monkeypatch.setattr(transport, "send_once", lambda *_a, **_k: pytest.fail("something was sent"))
    authorizer = Authorizer(transport, bob())
    with pytest.raises(AuthError, match="without TLS"):
        authorizer.answer('Bearer realm="http://auth.example.com/token"', "app", ("x",), refused="")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("challenge", ["Basic realm=x", 'Bearer realm="{thief}/token",service="fake"', ""])
def test_nobody_but_the_registry_is_told_who_we_are(
    registry: FakeRegistry, client: ClientMaker, auth: str, challenge: str
) -> None:
    """A blob store behind a redirect may challenge too; its token service would be handed the password."""
    registry.auth, registry.users = auth, {"bob": "s3cret-of-bob"}  # type: ignore[assignment]
    digest = registry.add_blob("app", b"blob")
    with FakeRegistry() as store, FakeRegistry() as thief:
        registry.faults.append(Fault(path=f"/blobs/{digest}", redirect_to=store.url, times=9))
        headers = {"WWW-Authenticate": challenge.format(thief=thief.url)} if challenge else {}
        store.faults.append(Fault(path="/blobs/", status=401, headers=headers, times=9))
        with pytest.raises(RegistryError, match=rf"cannot pull blob .*: {store.host} answered 401") as caught:
            client(keychain=bob()).open_blob(f"{registry.host}/app", Descriptor("", Digest.parse(digest), 4))
        assert thief.requests == []
        assert not any("authorization" in seen.headers for seen in store.requests)
    assert not isinstance(caught.value, AuthError)
    assert f"{registry.host} keeps it at {store.host}" in caught.value.hint


def test_authorization_is_not_sent_to_another_host_or_port(basic: FakeRegistry, client: ClientMaker) -> None:
    with basic as registry, FakeRegistry() as store:
        content = b"a blob elsewhere"
        registry.add_blob("team/app", content)
        store.add_blob("team/app", content)
        pulling = client(keychain=bob())
        pulling.get_manifest(serve(registry))
        registry.faults.append(Fault(path="/blobs/", redirect_to=store.url))
        with pulling.open_blob(f"{registry.host}/team/app", Descriptor.of("", content)) as stream:
            assert stream.read() == content
        assert "authorization" in registry.requests[-1].headers
        (request,) = store.requests
        assert "authorization" not in request.headers


def test_netrc_does_not_interfere(
    basic: FakeRegistry,
    client: ClientMaker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login eve password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with basic as registry:
        client(keychain=bob()).get_manifest(serve(registry))
        assert "authorization" not in registry.requests[0].headers


def test_threads_share_one_token(bearer: FakeRegistry) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with bearer as registry, RegistryClient(RegistryOptions(), bob(), discard, "pull") as pulling:
        reference = serve(registry)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: pulling.get_manifest(reference), range(24)))
        assert len(registry.seen("GET", "/token")) == 1
