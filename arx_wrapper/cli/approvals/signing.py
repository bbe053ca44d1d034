"""Make, read and use a reviewer's key: a private file with which decisions on the command line are signed."""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from arx_wrapper.cli.session import extras
from arx_wrapper.config.sources import user_folder
from arx_wrapper.errors import ConfigError
from arx_wrapper.files import create_private, read_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from arx_wrapper.approvals import ApprovalRequest

VARIABLE = "ARX_REVIEWER_KEY"
_LIMIT = 64 * 1024


def default_file() -> Path:
    """Return the default path of a reviewer's key."""
    return user_folder(os.environ, "XDG_CONFIG_HOME", ".config") / "arx" / "reviewer.key"


def make_key(file: Path) -> str:
    """Make a key and keep it in a new file with mode 0600.

    Returns:
        The public key as base64, as `approvals.reviewers` takes it.

    Raises:
        ConfigError: there is a file already, or it cannot be made. Nothing is overwritten.
    """
    with extras():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        create_private(file, content)
    except FileExistsError:
        raise ConfigError(f"{file} exists already, and a key is never overwritten. Name another --file.") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be made: {error.strerror}.") from None
    return public_text(key)


def load_key(file: Path) -> Ed25519PrivateKey:
    """Return the key in a file.

    Raises:
        ConfigError: there is none, others may read it, or it is not an Ed25519 private key.
    """
    with extras():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _private_content(file)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{file} is not an unencrypted Ed25519 private key in PEM form. Nothing was decided.")
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """Return a key's public half, as `approvals.reviewers` takes it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def owner_of(key: Ed25519PrivateKey, reviewers: Mapping[str, str], claimed: str | None, file: Path) -> str:
    """Return the name of the reviewer who owns a key.

    Raises:
        ConfigError: no reviewer owns it, or another one than the named reviewer.
    """
    public = public_text(key)
    found = next((name for name, known in reviewers.items() if hmac.compare_digest(known, public)), None)
    if found is None:
        raise ConfigError(
            f"The key in {file} is no registered reviewer's. Nothing was decided. "
            f'Have it registered: approvals.reviewers = {{NAME = "{public}"}}.'
        )
    if claimed is not None and claimed != found:
        raise ConfigError(f"The key in {file} is {found}'s, not {claimed}'s. Nothing was decided.")
    return found


def sign(key: Ed25519PrivateKey, request: ApprovalRequest, *, approve: bool, note: str, at: datetime) -> str:
    """Sign a decision about a request as it was shown.

    Raises:
        ConfigError: the request is not what its digest says: it was altered in the database.
    """
    from arx_wrapper.approvals import sign_decision

    if request.expected_digest() != request.digest:
        raise ConfigError(f"{request.id} does not match its digest: it was altered. Nothing was decided.")
    return sign_decision(key, request_id=request.id, digest=request.digest, approve=approve, note=note, at=at)


def _private_content(file: Path) -> bytes:
    try:
        return read_private(file, _LIMIT)[0]
    except FileNotFoundError:
        raise ConfigError(
            f"Decisions are signed here, and there is no key {file}. Nothing was decided. "
            f"Name yours with --key or {VARIABLE}, or make one: `arx-pagerduty approvals keygen`."
        ) from None
    except PermissionError as error:
        raise ConfigError(
            f"The key {file} cannot be used: {error.strerror or error}. Nothing was decided. If others may have read "
            "it, make another with `arx-pagerduty approvals keygen --file NEW`, and have it registered in its place."
        ) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}. Nothing was decided.") from None
