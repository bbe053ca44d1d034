"""Verify passkeys (WebAuthn): registrations, and statements signed by a user whom the device has verified.

The challenge of an assertion is the SHA-256 of the statement. So the assertion is a signature over the statement, and
can be verified later, offline, with the public key alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import urlsplit

import msgspec
from attrs import frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.urls import is_loopback

_LONGEST = 64 * 1024


class NotProvenError(Exception):
    """An assertion or a registration is invalid; the message is a clause that says why."""


@frozen(kw_only=True)
class Passkey:
    """The public part of a passkey, as the enrolment's record holds it.

    Attributes:
        credential_id: The credential's id, base64url.
        public_key: COSE public key, base64url.
        rp_id: The domain that it is for.
        origin: The origin at which it was enrolled; it counts at no other.
    """

    credential_id: str
    public_key: str
    rp_id: str
    origin: str


def key_material(public_key: str) -> bytes:
    """Return a passkey's public key without its encoding, so that two encodings of one key are equal.

    Args:
        public_key: COSE public key, base64url.

    Raises:
        NotProvenError: it is no public key.
        ConfigError: the package webauthn is not installed.
    """
    _webauthn()
    from webauthn.helpers import decode_credential_public_key

    try:
        found = decode_credential_public_key(_decoded(public_key))
    except Exception as error:
        raise NotProvenError(_plain(error)) from None
    parts = (getattr(found, name, b"") for name in ("x", "y", "n", "e"))
    return b"".join(part.lstrip(b"\0") for part in parts if isinstance(part, bytes))


def rp_id_of(origin: str) -> str:
    """Return the WebAuthn domain of a console's origin.

    Raises:
        ConfigError: browsers offer no passkeys there: it is neither https nor localhost, or its host is an IP address.
    """
    found = urlsplit(origin)
    host = found.hostname or ""
    secure = found.scheme == "https" or (found.scheme == "http" and host == "localhost")
    numeric = ":" in host or host.replace(".", "").isdigit()
    plain = not (found.path or found.query or found.fragment or found.username or found.password)
    if not secure or not host or numeric or not plain:
        hint = " Use http://localhost:PORT on this machine." if is_loopback(host) else ""
        raise ConfigError(
            f"Browsers offer no passkeys at {origin!a}: the console needs an origin such as "
            f"https://approvals.example.com, without a path.{hint} Nothing was sent."
        )
    return host


def challenge_of(statement: bytes) -> bytes:
    """Return the challenge that makes an assertion a signature over a statement."""
    return hashlib.sha256(statement).digest()


def verify_assertion(assertion: str, statement: bytes, passkey: Passkey) -> None:
    """Check that a passkey signed a statement and that the device verified its user.

    Args:
        assertion: The browser's `PublicKeyCredential` as JSON.
        statement: The statement that the challenge must be the hash of.
        passkey: The passkey that must have signed it.

    Raises:
        NotProvenError: the assertion is invalid.
        ConfigError: the package webauthn is not installed.
    """
    webauthn = _webauthn()
    if credential_of(assertion) != passkey.credential_id:
        raise NotProvenError("belongs to another passkey")
    try:
        webauthn.verify_authentication_response(
            credential=assertion,
            expected_challenge=challenge_of(statement),
            expected_rp_id=passkey.rp_id,
            expected_origin=passkey.origin,
            credential_public_key=_decoded(passkey.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as error:  # the library's own errors, and those of the parsers beneath it
        raise NotProvenError(_plain(error)) from None


def verify_registration(credential: str, challenge: bytes, *, rp_id: str, origin: str) -> Passkey:
    """Verify a browser's registration and return the passkey.

    Args:
        credential: The browser's `PublicKeyCredential` as JSON.
        challenge: The challenge that the page was given.
        rp_id, origin: The domain and the origin that served the page.

    Raises:
        NotProvenError: the registration is invalid.
        ConfigError: the package webauthn is not installed.
    """
    webauthn = _webauthn()
    credential_of(credential)
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
        )
    except Exception as error:
        raise NotProvenError(_plain(error)) from None
    return Passkey(
        credential_id=_encoded(made.credential_id),
        public_key=_encoded(made.credential_public_key),
        rp_id=rp_id,
        origin=origin,
    )


def credential_of(assertion: str) -> str:
    """Return the id of the credential that an assertion names. NotProvenError when the text is no assertion."""
    try:
        if len(assertion) > _LONGEST:
            raise ValueError
        found: Any = msgspec.json.decode(assertion.encode())["id"]
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
        raise NotProvenError("is not what a browser makes with a passkey") from None
    if not isinstance(found, str):
        raise NotProvenError("is not what a browser makes with a passkey")
    return found


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(value: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        raise NotProvenError("has a public key that cannot be read") from None


def _plain(error: Exception) -> str:
    return f"is invalid: {str(error)[:200] or type(error).__name__}"


def _webauthn() -> Any:
    try:
        import webauthn
    except ImportError:
        raise ConfigError("Passkeys need webauthn: pip install 'arx-pagerduty[console]'. Nothing was sent.") from None
    return webauthn
