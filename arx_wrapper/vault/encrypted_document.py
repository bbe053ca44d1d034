"""Encode and decode an encrypted vault file: one entry for each organisation, each AES-256-GCM under one key.

The readable header (format, version, key id, organisation) is authenticated with every entry. So an entry cannot be
moved to another organisation, nor to another key's file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec
from attrs import evolve, field, frozen

from arx_wrapper.credentials import Credentials, Secret
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.vault.keys import Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


@frozen(kw_only=True)
class _Content:
    """An entry's content once decrypted; checked when it becomes `Credentials`."""

    api_key: str = field(repr=False)
    requester_email: str | None = None


@frozen(kw_only=True)
class Entry:
    """One organisation's credentials, encrypted."""

    nonce: bytes
    ciphertext: bytes


@frozen(kw_only=True)
class Document:
    """The file's content; `*` names the entry for every organisation that has none of its own."""

    format: Literal["arx-vault"] = "arx-vault"
    version: Literal[1] = 1
    key_id: str
    entries: Mapping[str, Entry] = field(factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> Document:
        """Read a file's content. ValueError when it is not a vault file."""
        try:
            return msgspec.json.decode(content, type=cls)
        except msgspec.MsgspecError:
            raise ValueError("it is not a vault file, or was made by a later version") from None

    def dump(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def name_for(self, org_id: str) -> str | None:
        """Return the name of the entry that serves an organisation."""
        return org_id if org_id in self.entries else "*" if "*" in self.entries else None

    def seal(self, name: str, credentials: Credentials, key: Key) -> Document:
        """Return this document with one entry added or replaced."""
        nonce = os.urandom(_NONCE)
        ciphertext = _cipher(key).encrypt(nonce, _content(credentials), self._header(name))
        return evolve(self, entries={**self.entries, name: Entry(nonce=nonce, ciphertext=ciphertext)})

    def unseal(self, name: str, key: Key) -> Credentials:
        """Decrypt one entry.

        Raises:
            CredentialError: it was altered, or encrypted under another key.
        """
        found = self._decrypted(name, _cipher(key))
        if found is None:
            raise CredentialError(
                f"The vault's entry {name!a} was altered, or encrypted under another key. Nothing was sent. "
                "Store the credentials again: `arx-pagerduty vault set`."
            )
        return Credentials(api_key=found[0], requester_email=found[1])

    def _decrypted(self, name: str, cipher: AESGCM) -> tuple[Secret, str | None] | None:
        """Return an entry's key and e-mail; None when it cannot be decrypted. The clear text stays in this frame."""
        from cryptography.exceptions import InvalidTag  # installed: the cipher was made with it

        entry = self.entries[name]
        try:
            clear = cipher.decrypt(entry.nonce, entry.ciphertext, self._header(name))
            content = msgspec.json.decode(clear, type=_Content)
        except (InvalidTag, ValueError):
            return None
        return Secret(content.api_key), content.requester_email

    def _header(self, name: str) -> bytes:
        header = {"format": self.format, "key_id": self.key_id, "org_id": name, "version": self.version}
        return msgspec.json.encode(header, order="sorted")


def _content(credentials: Credentials) -> bytes:
    content = _Content(api_key=credentials.api_key.reveal(), requester_email=credentials.requester_email)
    return msgspec.json.encode(content)


def _cipher(key: Key) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise ConfigError(
            "An encrypted vault file needs cryptography: pip install 'arx-pagerduty[crypto]'. Nothing was sent."
        ) from None
    return AESGCM(key.secret)
