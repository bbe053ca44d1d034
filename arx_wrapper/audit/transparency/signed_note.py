"""Sign and verify notes (C2SP signed-note) with Ed25519: a text, and signatures that name their keys.

A verifier's key is text that may be published: `name+1234abcd+base64`. A signer's key begins with `PRIVATE+KEY+`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from arx_wrapper.errors import AuditError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519: Final = b"\x01"
_PRIVATE: Final = "PRIVATE+KEY+"
_DASH: Final = "\u2014 "


@frozen
class Verifier:
    """Verifies the signatures of one key.

    Attributes:
        name: The key's owner.
        key_id: Distinguishes keys of the same name.
    """

    name: str
    key_id: bytes
    _key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, kind: bytes = _ED25519) -> Verifier:
        """Parse a verifier's key for a kind of signature. AuditError when it is malformed."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        name, _, rest = text.strip().partition("+")
        shown, _, encoded = rest.partition("+")
        data = _decoded(encoded)
        if not name or len(data) != 33 or data[:1] != kind or shown != _key_id(name, data).hex():
            raise AuditError("This is not a verifier's key of the form name+12345678+base64.")
        return cls(name, _key_id(name, data), Ed25519PublicKey.from_public_bytes(data[1:]))

    def open(self, note: str) -> str:
        """Return the text of a note that this key signed.

        Raises:
            AuditError: it is not a note, or is not signed by this key.
        """
        text = note.rpartition("\n\n")[0] + "\n"
        if any(self.holds(data, text.encode()) for data in self.signatures(note)):
            return text
        raise AuditError(f"The note is not signed by {self.name}.")

    def signatures(self, note: str) -> list[bytes]:
        """Return the content of this key's signature lines, unverified.

        Raises:
            AuditError: it is not a note.
        """
        _, separator, lines = note.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise AuditError("This is not a signed note.")
        found = []
        for line in lines.splitlines():
            name, _, encoded = line.removeprefix(_DASH).partition(" ")
            data = _decoded(encoded)
            if line.startswith(_DASH) and name == self.name and data[:4] == self.key_id:
                found.append(data[4:])
        return found

    def holds(self, signature: bytes, text: bytes) -> bool:
        """Return True when a signature over a text is valid for this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


@frozen
class Signer:
    """Signs notes.

    Attributes:
        name: The key's owner; a log's checkpoints have it as their origin.
    """

    name: str
    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def new(cls, name: str) -> Signer:
        """Generate a key. ValueError when the name is not accepted."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not name or any(character.isspace() or character == "+" for character in name):
            raise ValueError("a key's name must not be empty, and holds neither white space nor +")
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Parse a signer's key. AuditError when it is malformed; the message does not show it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        name, _, rest = text.strip().removeprefix(_PRIVATE).partition("+")
        data = _decoded(rest.partition("+")[2])
        if not text.startswith(_PRIVATE) or not name or len(data) != 33 or data[:1] != _ED25519:
            raise AuditError("This is not a signer's key of the form PRIVATE+KEY+name+12345678+base64.")
        return cls(name, Ed25519PrivateKey.from_private_bytes(data[1:]))

    def secret(self) -> str:
        """Return the signer's key as text, to be kept secret."""
        data = _ED25519 + self._key.private_bytes_raw()
        return f"{_PRIVATE}{self.name}+{self._id().hex()}+{base64.b64encode(data).decode()}"

    def verifier(self) -> str:
        """Return the verifier's key as text, to be published."""
        return f"{self.name}+{self._id().hex()}+{base64.b64encode(self._public()).decode()}"

    def sign(self, text: str) -> str:
        """Return a signed note with this text, which ends in a line break."""
        signature = base64.b64encode(self._id() + self._key.sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self.name} {signature}\n"

    def _public(self) -> bytes:
        return _ED25519 + self._key.public_key().public_bytes_raw()

    def _id(self) -> bytes:
        return _key_id(self.name, self._public())


def _key_id(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
