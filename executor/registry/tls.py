"""TLS settings of one registry: trusted authorities, client certificate, and whether a server speaks TLS at all.

SSL_CERT_FILE and SSL_CERT_DIR mean what they mean to Go programs such as kaniko: every file of the directory is
read, not only those with OpenSSL's hashed names.
"""

from __future__ import annotations

import os
import socket
import ssl

from executor.errors import UsageError
from executor.spec import RegistryOptions

_PROBE_SECONDS = 3.0


def tls_context(registry: str, options: RegistryOptions, *, verify: bool) -> ssl.SSLContext:
    """The context for all connections made on behalf of `registry`.

    Raises UsageError when a certificate file named by the options cannot be read.
    """
    context = ssl.create_default_context()
    if verify:
        _trust(context, options.certificates.get(registry, ""), registry)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _present(context, options, registry)
    return context


def speaks_tls(host: str) -> bool:
    """True when a TLS handshake with `host` (port 443 if it names none) succeeds. Nothing is sent over it."""
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "443")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((name.strip("[]"), int(port)), _PROBE_SECONDS) as plain:
            context.wrap_socket(plain).close()
    except OSError:
        return False
    return True


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


def _present(context: ssl.SSLContext, options: RegistryOptions, registry: str) -> None:
    files = options.client_certificates.get(registry)
    if files is None:
        return
    try:
        context.load_cert_chain(*files, password=lambda: "")  # never ask on the terminal
    except OSError as error:
        raise _unreadable("client certificate", " or ".join(files), registry, error) from error


def _unreadable(kind: str, path: str, registry: str, error: OSError) -> UsageError:
    reason = os.strerror(error.errno) if error.errno and not isinstance(error, ssl.SSLError) else "not PEM"
    return UsageError(f"the {kind} file {path} for {registry} cannot be used: {reason}")
