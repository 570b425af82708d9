"""TLS settings of one registry: trusted authorities, client certificate, and whether a server speaks TLS at all.

SSL_CERT_FILE and SSL_CERT_DIR mean what they mean to Go programs such as kaniko: every file of the directory is
read, not only those with OpenSSL's hashed names.
"""

from __future__ import annotations

import functools
import os
import ssl

from executor.errors import UsageError
from executor.registry.wire import connected
from executor.spec import RegistryOptions

_CONNECT_SECONDS = 3.0
_HANDSHAKE_SECONDS = 10.0


def tls_context(registry: str, options: RegistryOptions, *, verify: bool) -> ssl.SSLContext:
    """The context for all connections made on behalf of `registry`.

    It is made once in a process: the files may be gone when a build in place has taken `/` over. Raises UsageError
    when a certificate file named by the options cannot be used.
    """
    trusted = tuple(os.environ.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    authority, client = options.certificates.get(registry, ""), options.client_certificates.get(registry)
    return _made_context(registry, authority, client, verify, trusted)


def speaks_tls(host: str) -> bool | None:
    """Whether a TLS handshake with `host` (port 443 if it names none) succeeds. Nothing is sent over it.

    None when it cannot be told now: nobody listens there, as while a registry starts, or it is too slow.
    """
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "443")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        plain = connected(name.strip("[]"), int(port), _CONNECT_SECONDS)
    except ConnectionRefusedError:
        return None
    except OSError:
        return False
    try:
        with plain:
            plain.settimeout(_HANDSHAKE_SECONDS)
            context.wrap_socket(plain).close()
    except ssl.SSLError as error:  # with TLS 1.2 it may say at once that it wants a certificate of ours
        return "_ALERT_" in (error.reason or "")
    except TimeoutError:
        return None
    except OSError:
        return False
    return True


@functools.cache
def _made_context(
    registry: str, authority: str, client: tuple[str, str] | None, verify: bool, _trusted: tuple[str, ...]
) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if verify:
        _trust(context, authority, registry)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client:
        _present(context, client, registry)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trust(context: ssl.SSLContext, authority: str, registry: str) -> None:
    for directory in filter(None, os.environ.get("SSL_CERT_DIR", "").split(":")):
        _trust_directory(context, directory)
    if not _system_has_authorities():
        import certifi

        context.load_verify_locations(certifi.where())
    if authority:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise _unreadable("CA", authority, registry, error) from error


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and os.listdir(paths.capath)))


def _trust_directory(context: ssl.SSLContext, directory: str) -> None:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        try:
            context.load_verify_locations(os.path.join(directory, name))
        except OSError:  # a README or a key among the certificates
            continue


def _present(context: ssl.SSLContext, files: tuple[str, str], registry: str) -> None:
    try:
        context.load_cert_chain(*files, password=lambda: "")  # never ask on the terminal
    except OSError as error:
        raise _unreadable("client certificate", " or ".join(files), registry, error) from error


def _unreadable(kind: str, path: str, registry: str, error: OSError) -> UsageError:
    if not isinstance(error, ssl.SSLError):
        reason = os.strerror(error.errno) if error.errno else "not PEM"
    elif error.reason == "KEY_VALUES_MISMATCH":
        reason = "the key is not that of the certificate"
    else:
        reason = "not PEM" if kind == "CA" else "not PEM, or the key has a password"
    return UsageError(f"the {kind} file {path} for {registry} cannot be used: {reason}")
