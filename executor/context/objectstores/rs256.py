"""RS256: an RSA signature over SHA-256 (RFC 8017, RSASSA-PKCS1-v1_5) with a key in PEM (PKCS #8 or PKCS #1).

For the one signature with which a service account asks for a token. Its time depends on the key: it is not for
servers that sign what others send.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from executor.errors import ContextError

_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # DigestInfo of SHA-256, RFC 8017 9.2
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
_SMALLEST = 1024


def rs256(pem: str, message: bytes, what: str) -> bytes:
    """The signature of `message`. Raises ContextError when `pem` is no RSA key of the file called `what`."""
    try:
        modulus, public, private = _key(pem)
    except (ValueError, IndexError):
        raise ContextError(f"{what} has no RSA key in PEM as private_key") from None
    size = (modulus.bit_length() + 7) // 8
    info = _PREFIX + hashlib.sha256(message).digest()
    padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    number = int.from_bytes(padded, "big")
    signature = pow(number, private, modulus)
    if pow(signature, public, modulus) != number:
        raise ContextError(f"the parts of the RSA key in {what} do not belong together")
    return signature.to_bytes(size, "big")


def _key(pem: str) -> tuple[int, int, int]:
    """Modulus, public and private exponent. Raises ValueError and IndexError."""
    lines = [line.strip() for line in pem.strip().splitlines()]
    if len(lines) < 3 or not lines[0].endswith("PRIVATE KEY-----") or "ENCRYPTED" in lines[0]:
        raise ValueError
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except binascii.Error:
        raise ValueError from None
    fields = _fields(_value(der, _SEQUENCE))
    if fields[1][0] == _SEQUENCE:  # PKCS #8: version, algorithm, the key
        fields = _fields(_value(fields[2][1], _SEQUENCE)) if fields[2][0] == _OCTETS else []
    modulus, public, private = (int.from_bytes(data, "big") for kind, data in fields[1:4] if kind == _INTEGER)
    if modulus.bit_length() < _SMALLEST or not 1 < public < modulus or not 1 < private < modulus:
        raise ValueError
    return modulus, public, private


def _value(der: bytes, kind: int) -> bytes:
    found, value, _ = _field(der, 0)
    if found != kind:
        raise ValueError
    return value


def _fields(der: bytes) -> list[tuple[int, bytes]]:
    fields, at = [], 0
    while at < len(der):
        kind, value, at = _field(der, at)
        fields.append((kind, value))
    return fields


def _field(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and value of the field at `at`, and where the next begins (X.690 8.1)."""
    kind, length, at = der[at], der[at + 1], at + 2
    if length >= 0x80:
        count = length - 0x80
        length, at = int.from_bytes(der[at : at + count], "big"), at + count
    if at + length > len(der):
        raise ValueError
    return kind, der[at : at + length], at + length
