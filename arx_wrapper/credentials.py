"""Hold an account's credentials, checked before use. Only the call that sends a secret sees its clear text."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from attrs import Attribute, field, frozen

from arx_wrapper.errors import CredentialError
from arx_wrapper.model.secret import Secret as Secret
from arx_wrapper.model.secret import fault_of

Scheme = Literal["Token", "Bearer"]

_KEY = re.compile(r"[!-~]{1,4096}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_EMAIL_LIMIT = 254  # RFC 5321, 4.5.3.1.3


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
            f"The requester's email {fault_of(value)}; it must be one plain ASCII address, bot@yourorg.com. "
            "Nothing was sent."
        )


@frozen(kw_only=True, init=False)
class Credentials:
    """One account's credentials.

    Attributes:
        api_key: The secret: a REST API key, or an OAuth access token.
        requester_email: Sent as `From` with every write; None when the vault has none.
        scheme: How the key is presented: `Token token=…` or `Bearer …`.
        account: A name for the account, when its secret changes by itself (an OAuth client). None: the key is the name.

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
        """Return a hash that identifies the account, as hex. Approvals are bound to it; it does not reveal the key."""
        subject = f"account\0{self.account}" if self.account else f"key\0{self.api_key.reveal()}"
        return hashlib.sha256(f"arx-wrapper account v1\0{self.scheme}\0{subject}".encode()).hexdigest()


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
