"""What a vault hands out, checked at the edge: no secret travels malformed, or shows itself on the way."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from attrs import Attribute, field, frozen

from arx_wrapper.errors import CredentialError

Scheme = Literal["Token", "Bearer"]

_KEY = re.compile(r"[!-~]{1,4096}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_EMAIL_LIMIT = 254  # RFC 5321, 4.5.3.1.3


def _check_key(_: object, __: Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise CredentialError(
            f"The API key {_fault(value)}; it must be printable ASCII without spaces or line breaks, "
            "as the PagerDuty console shows it. Nothing was sent."
        ) from None


def _check_email(_: object, __: Attribute[str | None], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or len(value) > _EMAIL_LIMIT or not _EMAIL.fullmatch(value):
        raise CredentialError(
            f"The requester's email {_fault(value)}; it must be one plain ASCII address, bot@yourorg.com. "
            "Nothing was sent."
        ) from None


@frozen(kw_only=True)
class Credentials:
    """One account's credentials.

    Attributes:
        api_key: The secret: a REST API key, or an OAuth access token.
        requester_email: Sent as `From` with every write; None when the vault has none.
        scheme: How the key is presented: `Token token=…` or `Bearer …`.
        account: Names the account where the secret renews itself (an OAuth client); None: the key does.

    Raises:
        CredentialError: a value is malformed. The message says how, and never shows it.
    """

    api_key: str = field(repr=lambda _: "'***'", validator=_check_key)
    requester_email: str | None = field(default=None, validator=_check_email)
    scheme: Scheme = "Token"
    account: str | None = None

    @property
    def fingerprint(self) -> str:
        """Which account this is, as hex: what an approval is bound to. The key cannot be found from it."""
        subject = f"account\0{self.account}" if self.account else f"key\0{self.api_key}"
        return hashlib.sha256(f"arx-wrapper account v1\0{self.scheme}\0{subject}".encode()).hexdigest()


def _fault(value: object) -> str:
    """What is wrong with a value, without showing any of it."""
    if not isinstance(value, str):
        return "is not text"
    if not value:
        return "is empty"
    if "\r" in value or "\n" in value:
        return "contains a line break"
    if not value.isascii():
        return "contains characters outside ASCII"
    if any(character.isspace() for character in value):
        return "contains a space"
    if not value.isprintable():
        return "contains control characters"
    return "is malformed"
