"""A passkey's authenticator in software: what a phone or a security key does, and what a forged one could do."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ORIGIN = "http://localhost:8788"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Authenticator:
    """One passkey, for one site."""

    def __init__(self, rp_id: str = "localhost") -> None:
        self.key, self.id, self.rp_id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16), rp_id

    def register(self, challenge: bytes, *, origin: str = ORIGIN, flags: int = PRESENT | VERIFIED) -> str:
        """Return the result of `navigator.credentials.create()`."""
        cose = cbor2.dumps(self.cose())
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cose
        data = self._data(flags | ATTESTED, self.rp_id) + attested
        response = {
            "clientDataJSON": encoded(_client("webauthn.create", challenge, origin)),
            "attestationObject": encoded(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return self._credential(response)

    def cose(self) -> dict[int, Any]:
        """The public key, as COSE has it."""
        numbers = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}

    def sign(
        self,
        challenge: bytes,
        *,
        origin: str = ORIGIN,
        rp_id: str | None = None,
        flags: int = PRESENT | VERIFIED,
    ) -> str:
        """Return the result of `navigator.credentials.get()`."""
        client = _client("webauthn.get", challenge, origin)
        data = self._data(flags, rp_id or self.rp_id)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
            "userHandle": None,
        }
        return self._credential(response)

    def _data(self, flags: int, rp_id: str) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + (0).to_bytes(4)

    def _credential(self, response: dict[str, Any]) -> str:
        name = encoded(self.id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}
        )


def _client(kind: str, challenge: bytes, origin: str) -> bytes:
    said = {"type": kind, "challenge": encoded(challenge), "origin": origin, "crossOrigin": False}
    return json.dumps(said).encode()
