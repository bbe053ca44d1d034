"""Credentials, checked before use. Only the library call that sends a secret sees it in clear text."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final, Literal, NoReturn
from urllib.parse import quote

from attrs import Attribute, field, frozen

from arx_wrapper.errors import CredentialError

Scheme = Literal["Token", "Bearer"]

_KEY = re.compile(r"[!-~]{1,4096}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_EMAIL_LIMIT = 254  # RFC 5321, 4.5.3.1.3
_MASKED: Final = 6


class Secret:
    """A text that neither `repr`, `str`, formatting nor pickling shows.

    Tracebacks with local variables, as error trackers and test runners print them, show `'***'`. Write
    `send(secret.reveal())` in the call that needs the text, and keep it in no variable: variables outlive the call in
    the traceback of whatever it raises.
    """

    __slots__ = ("__forms", "__text")

    def __init__(self, text: object) -> None:
        self.__text: object = text.__text if isinstance(text, Secret) else text
        self.__forms: re.Pattern[str] | None = None

    def reveal(self) -> str:
        """Return the text. ValueError when the secret is not text."""
        if not isinstance(self.__text, str):
            raise ValueError("the secret is not text")
        return self.__text

    def fault(self, accepted: re.Pattern[str]) -> str | None:
        """Describe what is wrong with the text without showing any of it; None when it matches the whole pattern."""
        text = self.__text
        if isinstance(text, str) and accepted.fullmatch(text):
            return None
        return _fault(text)

    def masked(self, text: str) -> str:
        """Return another text with every repetition of this one masked: as it is, percent-encoded, or as base64.

        A secret of fewer than six characters is no real one: masking it would garble the text.
        """
        secret = self.__text
        if not isinstance(secret, str) or len(secret) < _MASKED:
            return text
        if self.__forms is None:
            encoded = secret.encode("utf-8", "surrogatepass")
            blobs = (base64.b64encode(encoded), base64.urlsafe_b64encode(encoded))
            forms = {secret, quote(encoded), quote(encoded, safe=""), *(blob.decode().rstrip("=") for blob in blobs)}
            ordered = sorted(map(re.escape, forms), key=len, reverse=True)
            self.__forms = re.compile("|".join(ordered), re.IGNORECASE)
        return self.__forms.sub("***", text)

    def __eq__(self, other: object) -> bool:
        text = other.__text if isinstance(other, Secret) else other
        if not isinstance(text, str) or not isinstance(self.__text, str):
            return False
        return hmac.compare_digest(self.__text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self.__text)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __repr__(self) -> str:
        return "'***'"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def _check_key(_: object, __: Attribute[Secret], value: Secret) -> None:
    if fault := value.fault(_KEY):
        raise CredentialError(
            f"The API key {fault}; it must be printable ASCII without spaces or line breaks, "
            "as the PagerDuty console shows it. Nothing was sent."
        )


def _check_email(_: object, __: Attribute[str | None], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or len(value) > _EMAIL_LIMIT or not _EMAIL.fullmatch(value):
        raise CredentialError(
            f"The requester's email {_fault(value)}; it must be one plain ASCII address, bot@yourorg.com. "
            "Nothing was sent."
        )


@frozen(kw_only=True, init=False)
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

    api_key: Secret = field(validator=_check_key)
    requester_email: str | None = field(default=None, validator=_check_email)
    scheme: Scheme = "Token"
    account: str | None = None

    def __init__(
        self,
        *,
        api_key: Secret | str,
        requester_email: str | None = None,
        scheme: Scheme = "Token",
        account: str | None = None,
    ) -> None:
        api_key = Secret(api_key)  # the clear text leaves this frame before anything is raised in it
        self.__attrs_init__(api_key=api_key, requester_email=requester_email, scheme=scheme, account=account)

    @cached_property
    def fingerprint(self) -> str:
        """Return what names the account, as hex: what an approval is bound to. The key cannot be found from it."""
        subject = f"account\0{self.account}" if self.account else f"key\0{self.api_key.reveal()}"
        return hashlib.sha256(f"arx-wrapper account v1\0{self.scheme}\0{subject}".encode()).hexdigest()


def _fault(value: object) -> str:
    """Describe what is wrong with a value, without showing any of it."""
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


class Variables:
    """The environment, read by name. Neither `repr` nor a traceback's local variables show its values."""

    __slots__ = ("__environ",)

    def __init__(self, environ: Mapping[str, str] | Variables | None = None) -> None:
        """Wrap an environment; by default the process's own."""
        self.__environ: Mapping[str, str] = (
            environ.__environ if isinstance(environ, Variables) else os.environ if environ is None else environ
        )

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a variable's value."""
        return self.__environ.get(name, default)

    def secret(self, name: str) -> Secret:
        """Return the value of a variable that holds a secret; one that is not set is an empty secret."""
        return Secret(self.__environ.get(name, ""))

    def __contains__(self, name: object) -> bool:
        return name in self.__environ

    def __getitem__(self, name: str) -> str:
        return self.__environ[name]

    def __repr__(self) -> str:
        return f"<{len(self.__environ)} environment variables>"
