"""Have witnesses cosign checkpoints: other parties that first verify that the log only grew (C2SP tlog-witness).

When a log shows different records to different people, the same witness cosigns only one of the versions.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from arx_wrapper.audit.transparency.signed_note import Verifier
from arx_wrapper.errors import AuditError, ConfigError
from arx_wrapper.http_client import client as http_client
from arx_wrapper.http_client import library
from arx_wrapper.urls import Proxy, https_or_loopback, without_password

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncClient

_COSIGNATURE: Final = b"\x04"
_WITHIN: Final = 20.0
_LONGEST: Final = 64_000
_SIZE: Final = "text/x.tlog.size"
Prove = Callable[[int], Awaitable[Sequence[bytes]]]


@frozen
class Cosigner:
    """Verifies the cosignatures of one witness (C2SP tlog-cosignature, Ed25519)."""

    verifier: Verifier

    @classmethod
    def parse(cls, text: str) -> Cosigner:
        """Parse a witness's key, `name+1234abcd+base64`. AuditError when it is malformed."""
        return cls(Verifier.parse(text, kind=_COSIGNATURE))

    @property
    def name(self) -> str:
        """Return the witness's name."""
        return self.verifier.name

    def cosigned_at(self, note: str) -> int | None:
        """Return the time at which the witness cosigned a checkpoint, in seconds since 1970; None when it did not.

        Raises:
            AuditError: the cosignature of this key is invalid.
        """
        text = note.partition("\n\n")[0] + "\n"
        for data in self.verifier.signatures(note):
            at = int.from_bytes(data[:8])
            if not self.verifier.holds(data[8:], f"cosignature/v1\ntime {at}\n{text}".encode()):
                raise AuditError(f"The cosignature of {self.name} is invalid.")
            return at
        return None


@frozen
class Witness:
    """A witness from which cosignatures are requested.

    Attributes:
        cosigner: Its key.
        url: Its submission prefix, to which `add-checkpoint` is added.
        proxy: The proxy for witnesses on other machines.
    """

    cosigner: Cosigner
    url: str
    proxy: Proxy | None = None

    @classmethod
    def parse(cls, text: str, proxy: Proxy | None = None) -> Witness:
        """Parse `KEY@URL`. ConfigError when it is malformed."""
        key, _, url = text.strip().partition("@")
        if not https_or_loopback(url):
            raise ConfigError(
                f"A witness is given as KEY@https://address, with its verifier key; {without_password(url)!a} is no "
                "such address."
            )
        try:
            return cls(Cosigner.parse(key), url.rstrip("/"), proxy)
        except AuditError as error:
            raise ConfigError(f"A witness is given as KEY@https://address: {error}") from None

    async def cosign(self, note: str, size: int, known: int, prove: Prove) -> str:
        """Have the witness cosign a checkpoint.

        Args:
            note: The checkpoint, signed by the log.
            size: The number of records that it covers.
            known: The last size known to be cosigned by the witness; 0 when none is known.
            prove: Returns the proof that the tree extends the tree over a number of records.

        Returns:
            The note with the witness's signature.

        Raises:
            AuditError: the witness cannot be reached, has seen more or other records, or its signature is invalid.
        """
        async with http_client(self.url, timeout=_WITHIN, proxy=self.proxy) as client:
            status, kind, text = await self._ask(client, note, known, prove)
            if status == 409 and _SIZE in kind and (seen := _number(text)) is not None:
                if seen > size:
                    raise AuditError(
                        f"The witness {self.cosigner.name} has cosigned {seen} records of this log, and this "
                        f"checkpoint is over {size}: the log was cut off, or it is an old copy."
                    )
                status, kind, text = await self._ask(client, note, seen, prove)
        if status != 200:
            why = "it has seen other records of this log" if status in (409, 422) else "it refuses it"
            raise AuditError(f"The witness {self.cosigner.name} does not cosign the checkpoint: {why} ({status}).")
        return self._added(note, text)

    async def _ask(self, client: AsyncClient, note: str, known: int, prove: Prove) -> tuple[int, str, str]:
        """Request a cosignature; return the response's status, content type and text."""
        path = await prove(known) if known else ()
        proof = "".join(base64.b64encode(step).decode() + "\n" for step in path)
        request, body = f"old {known}\n{proof}\n{note}".encode(), bytearray()
        try:
            async with (
                asyncio.timeout(_WITHIN),
                client.stream("POST", f"{self.url}/add-checkpoint", content=request) as response,
            ):
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _LONGEST:
                        raise AuditError(f"The witness {self.cosigner.name} responds with over {_LONGEST:,} bytes.")
        except (library().HTTPError, TimeoutError) as error:
            raise AuditError(f"The witness {self.cosigner.name} cannot be reached: {type(error).__name__}.") from None
        return response.status_code, response.headers.get("content-type", ""), body.decode("utf-8", "replace")

    def _added(self, note: str, lines: str) -> str:
        """Return a note with the signature from a witness's response; its other lines are ignored."""
        for line in lines.splitlines():
            with_it = f"{note}{line}\n"
            if (at := self.cosigner.cosigned_at(with_it)) is not None:
                if at > time.time() + 86_400:
                    raise AuditError(f"The witness {self.cosigner.name} cosigned with a time in the future.")
                return with_it
        raise AuditError(f"The witness {self.cosigner.name} responded without its signature.")


def require_cosignatures(note: str, cosigners: Sequence[Cosigner]) -> None:
    """Refuse a checkpoint that a witness has not cosigned.

    Raises:
        AuditError: a signature is missing or invalid.
    """
    for cosigner in cosigners:
        if cosigner.cosigned_at(note) is None:
            raise AuditError(f"The checkpoint is not cosigned by {cosigner.name}.")


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
