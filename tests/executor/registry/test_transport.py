"""HTTP: scheme choice, TLS, redirects, proxies, and errors that say where and why without secrets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.errors import AuthError, NotFoundError, RegistryError, UsageError
from executor.image.reference import Reference
from executor.registry.reasons import Answer, connection_failure, refusal
from executor.registry.tls import speaks_tls
from executor.registry.transport import Transport
from executor.registry.wire import ProtocolError
from executor.spec import RegistryOptions
from tests.executor.registry.conftest import ClientMaker
from tests.support.fake_registry import FakeRegistry, Fault
from tests.support.images import small_image

CERTIFICATES = Path(__file__).parents[2] / "support" / "certificates"
AUTHORITY = str(CERTIFICATES / "authority.pem")
SERVER = (str(CERTIFICATES / "server.pem"), str(CERTIFICATES / "server.key"))

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture
def secure() -> Iterator[FakeRegistry]:
    with FakeRegistry(tls=SERVER) as registry:
        yield registry


def get(registry: FakeRegistry, client: ClientMaker, options: RegistryOptions | None = None) -> None:
    image = small_image()
    registry.add_manifest("app", "1", image.manifest.media_type, image.manifest.to_bytes())
    client(options=options).get_manifest(Reference.parse(f"{registry.host}/app:1"))


def test_this_machine_is_reached_with_and_without_tls(secure: FakeRegistry, registry: FakeRegistry) -> None:
    assert speaks_tls(secure.host)
    assert speaks_tls(registry.host) is False
    assert Transport(secure.host, RegistryOptions(), "pull").base_url == f"https://{secure.host}"
    assert Transport(registry.host, RegistryOptions(), "pull").base_url == f"http://{registry.host}"


def test_other_hosts_are_reached_with_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.registry.transport.speaks_tls", lambda _host: False)
    assert Transport("h.example", RegistryOptions(), "push").base_url == "https://h.example"
    assert Transport("h.example", RegistryOptions(insecure=True), "push").base_url == "http://h.example"
    assert Transport("docker.io", RegistryOptions(), "pull").base_url == "https://registry-1.docker.io"


def test_a_certificate_of_an_unknown_authority_is_refused_at_once(
    secure: FakeRegistry, client: ClientMaker, events: list[object]
) -> None:
    with pytest.raises(RegistryError, match=r"certificate of https://127.0.0.1:.* does not verify") as caught:
        get(secure, client)
    assert not caught.value.retryable
    assert caught.value.exit_code == 1
    assert "--registry-certificate" in caught.value.hint
    assert events == []


def test_an_authority_for_the_registry(secure: FakeRegistry, client: ClientMaker) -> None:
    get(secure, client, RegistryOptions(certificates={secure.host: AUTHORITY}))


@pytest.mark.parametrize("field", ["skip_tls_verify_pull", "skip_tls_verify_registries"])
def test_verification_may_be_left_out(secure: FakeRegistry, client: ClientMaker, field: str) -> None:
    value = (secure.host,) if field.endswith("registries") else True
    get(secure, client, RegistryOptions(**{field: value}))  # type: ignore[arg-type]


def test_every_file_of_ssl_cert_dir_is_trusted(
    secure: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "additional-ca-cert-bundle.crt").write_bytes(Path(AUTHORITY).read_bytes())
    (tmp_path / "README").write_text("not a certificate")
    monkeypatch.setenv("SSL_CERT_DIR", f"/does/not/exist:{tmp_path}")
    get(secure, client)


def test_ssl_cert_file_is_trusted(
    secure: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", AUTHORITY)
    get(secure, client)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_certificate_files_that_cannot_be_used(
    secure: FakeRegistry, client: ClientMaker, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=f"the CA file {path} for {secure.host} cannot be used"):
        get(secure, client, RegistryOptions(certificates={secure.host: str(path)}))
    pair = {secure.host: (str(path), str(path))}
    with pytest.raises(UsageError, match=r"the client certificate file .* cannot be used"):
        get(secure, client, RegistryOptions(client_certificates=pair))


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def choosy(request: pytest.FixtureRequest) -> Iterator[FakeRegistry]:
    """A registry that wants a certificate of its clients."""
    with FakeRegistry(tls=SERVER) as registry:
        context = registry.tls_context
        context.maximum_version = request.param
        context.load_verify_locations(AUTHORITY)
        context.verify_mode = ssl.CERT_REQUIRED
        yield registry


def test_a_client_certificate(choosy: FakeRegistry, client: ClientMaker) -> None:
    get(
        choosy,
        client,
        RegistryOptions(certificates={choosy.host: AUTHORITY}, client_certificates={choosy.host: SERVER}),
    )


def test_a_client_certificate_that_is_wanted_is_asked_for_at_once(
    choosy: FakeRegistry, client: ClientMaker, events: list[object], way: str
) -> None:
    others = {"other.example": SERVER}
    with pytest.raises(RegistryError) as caught:
        get(choosy, client, RegistryOptions(certificates={choosy.host: AUTHORITY}, client_certificates=others))
    assert f"--registry-client-cert {choosy.host}=" in caught.value.hint
    if way == "requests" and "the other side ended it" in caught.value.message:
        return  # which gives up on a connection that ends while it sends, and does not see what was said before
    assert "wants a certificate of its clients" in caught.value.message
    assert (caught.value.retryable, caught.value.exit_code) == (False, 1)
    if way == "direct":
        assert events == []


def test_a_registry_that_wants_a_certificate_is_never_asked_without_tls(choosy: FakeRegistry) -> None:
    """Though it may refuse the connection before that stands; credentials would go in the clear."""
    assert speaks_tls(choosy.host)
    options = RegistryOptions(insecure=True, insecure_pull=True)
    assert Transport(choosy.host, options, "push").base_url == f"https://{choosy.host}"


def test_certificate_files_are_read_once(secure: FakeRegistry, client: ClientMaker, tmp_path: Path) -> None:
    """A build in place has taken `/` over when it writes its cache: the files may be gone by then."""
    path = tmp_path / "authority.pem"
    path.write_bytes(Path(AUTHORITY).read_bytes())
    options = RegistryOptions(certificates={secure.host: str(path)})
    get(secure, client, options)
    path.unlink()
    get(secure, client, options)


def test_a_registry_that_is_down(client: ClientMaker, events: list[object]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RegistryError) as caught:
            client().get_manifest(Reference.parse(f"{host}/app:1"))
    assert (
        str(caught.value) == f"cannot pull {host}/app:1: {host}: no answer from http://{host}: Connection refused"
    )
    assert caught.value.retryable
    assert caught.value.exit_code == 75
    assert len(events) == 3


def test_a_registry_that_hangs_up(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/v2/", drop_after=0, times=8))
    with pytest.raises(RegistryError, match=r"no answer from .*: the connection was closed"):
        get(registry, client)
    get(registry, client)


def test_a_connection_that_died_unnoticed_costs_no_retry(
    registry: FakeRegistry, client: ClientMaker, events: list[object]
) -> None:
    get(registry, client)
    registry.faults.append(Fault(path="/v2/", drop_after=0))
    get(registry, client)
    assert events == []


def test_redirects_end(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/v2/", redirect_to=registry.url, times=99))
    with pytest.raises(RegistryError, match="redirects in a circle"):
        get(registry, client)


@pytest.mark.parametrize("target", ["http://[bad/", "https://h.example:99999/", "https://h.example:x/", "//h:0/"])
def test_a_redirect_to_what_is_no_address(registry: FakeRegistry, client: ClientMaker, target: str) -> None:
    registry.faults.append(Fault(path="/v2/", redirect_to=target, times=99))
    with pytest.raises(RegistryError, match="leads to an address that is none") as caught:
        get(registry, client)
    assert not caught.value.retryable


def test_a_token_service_at_what_is_no_address(registry: FakeRegistry, client: ClientMaker) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://[bad"'}
    registry.faults.append(Fault(path="/v2/", status=401, headers=challenge, times=99))
    with pytest.raises(RegistryError, match="leads to an address that is none"):
        get(registry, client)


def test_an_answer_that_is_none_is_told_of_as_that() -> None:
    failure = connection_failure("h.example", "https://h.example/v2/", ProtocolError("the answer is not HTTP"))
    assert str(failure) == "h.example: no answer from https://h.example: the answer is not HTTP"


def test_a_redirected_upload_is_not_turned_into_a_get(registry: FakeRegistry, client: ClientMaker) -> None:
    registry.faults.append(Fault(path="/uploads/", status=301, headers={"Location": registry.url}, times=9))
    with pytest.raises(RegistryError, match="answered 301"):
        client("push").check_push(Reference.parse(f"{registry.host}/app:1"))
    assert [request.method for request in registry.requests] == ["POST"]


def test_locations_stay_on_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport("h.example", RegistryOptions(), "push")
    assert transport.resolve("/v2/x") == "https://h.example/v2/x"
    assert transport.resolve("http://h.example/v2/x?a=b") == "https://h.example/v2/x?a=b"
    assert transport.resolve("http://h.example:80/v2/x") == "https://h.example/v2/x"
    assert transport.resolve("http://h.example:8080/v2/x") == "http://h.example:8080/v2/x"
    assert transport.resolve("https://other.example/x") == "https://other.example/x"
    assert transport.is_registry("https://h.example:443/x")
    for url in ("https://h.example:444/x", "http://h.example/x", "https://h.example.evil.example/x"):
        assert not transport.is_registry(url)


def test_a_proxy_of_the_environment_is_used(
    registry: FakeRegistry, client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", registry.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    image = small_image()
    options = RegistryOptions(insecure_pull=True)
    monkeypatch.setattr("executor.registry.transport.speaks_tls", lambda _host: False)
    with pytest.raises(NotFoundError):
        client(options=options).get_manifest(Reference.parse("registry.example.com/app:1"))
    assert registry.requests[0].path == "http://registry.example.com/v2/app/manifests/1"
    assert image


@pytest.fixture
def proxy() -> Iterator[FakeRegistry]:
    """One that refuses: `faults` say how."""
    with FakeRegistry() as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("status", "said", "retryable"),
    [(407, "refuses: 407", False), (403, "refuses: 403", False), (503, "fails: 503", True)],
)
def test_a_proxy_that_refuses_is_told_of_as_that(
    proxy: FakeRegistry, monkeypatch: pytest.MonkeyPatch, status: int, said: str, retryable: bool
) -> None:
    proxy.faults.append(Fault(method="CONNECT", path="", status=status))
    monkeypatch.setenv("https_proxy", proxy.url.replace("http://", "http://bob:s3cret@"))
    with pytest.raises(RegistryError, match=f"the proxy before https://h.example {said}") as caught:
        Transport("h.example", RegistryOptions(), "pull").send("GET", "/v2/", headers={})
    assert caught.value.retryable == retryable
    assert "HTTPS_PROXY" in caught.value.hint
    assert "s3cret" not in caught.value.describe()


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "http://"])
def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(RegistryError, match=r"the proxy before https://h\.example has an address") as caught:
        Transport("h.example", RegistryOptions(), "pull").send("GET", "/v2/", headers={})
    assert not caught.value.retryable


def test_a_proxy_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(RegistryError, match="fails: Connection refused") as caught:
        Transport("h.example", RegistryOptions(), "pull").send("GET", "/v2/", headers={})
    assert caught.value.retryable


def test_whether_it_speaks_tls_is_asked_again_while_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that is just starting, or slow, is not taken for one without TLS ever after."""
    answers = iter([None, True])
    monkeypatch.setattr("executor.registry.transport.speaks_tls", lambda _host: next(answers))
    transport = Transport("127.0.0.1:5000", RegistryOptions(), "push")
    assert [transport.base_url for _ in range(3)] == ["http://127.0.0.1:5000", *["https://127.0.0.1:5000"] * 2]


def test_nobody_can_tell_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.registry.tls._HANDSHAKE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        assert speaks_tls(host) is None
    assert speaks_tls(host) is None, "nobody listens any more"


def error(status: int, body: bytes = b"", **headers: str) -> RegistryError:
    answer = Answer(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body)
    return refusal(answer, "h.example", "pull x:1", identity="without credentials", secrets=["s3cret"])


def test_refusals_quote_the_registry() -> None:
    body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no s3cret","detail":{}},{"code":"DENIED"}]}'
    found = error(404, body)
    assert isinstance(found, NotFoundError)
    assert str(found) == ("cannot pull x:1: h.example answered 404 (MANIFEST_UNKNOWN: no ***; DENIED)")
    assert found.codes == ("MANIFEST_UNKNOWN", "DENIED")


@pytest.mark.parametrize("scheme", ["Basic", "bearer"])
def test_what_a_proxy_repeats_of_the_request_is_not_quoted(scheme: str) -> None:
    token = "Ym9iOnMzY3JldC1vZi1ib2I="
    text = str(error(400, f"bad request: Authorization: {scheme} {token} Accept: x".encode()))
    assert token not in text
    assert f"Authorization: {scheme} *** Accept" in text


@pytest.mark.parametrize(
    "body",
    [b"<html>s3cret</html>", b"", b'{"errors": 3}', b"\xff\x00 \x1b[31m s3cret", b"[]", b"[" * 8000],
)
def test_other_bodies_are_quoted_with_care(body: bytes) -> None:
    text = str(error(500, body))
    assert text.startswith("cannot pull x:1: h.example answered 500")
    assert "s3cret" not in text
    assert text.isprintable()


def test_long_bodies_are_cut() -> None:
    assert len(str(error(500, b"x" * 8000))) < 400


def test_kinds_of_refusals() -> None:
    assert isinstance(error(401), AuthError)
    assert isinstance(error(403), AuthError)
    busy = error(429, Retry_After="7")
    assert (busy.retry_after, busy.retryable, busy.exit_code) == (7.0, True, 75)
    assert "log in" in busy.hint
