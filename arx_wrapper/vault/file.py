"""Keep credentials in an encrypted file that only its owner can read (`file:///path`)."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from arx_wrapper.credentials import Credentials, Secret, Variables
from arx_wrapper.errors import CredentialError
from arx_wrapper.files import create_private, read_private
from arx_wrapper.vault import keys
from arx_wrapper.vault.encrypted_document import Document

_LIMIT = 1 << 20


@frozen(kw_only=True)
class Status:
    """Describe a vault file without its secrets.

    Attributes:
        path: The file.
        orgs: The organisations that it has credentials for; `*` stands for all others.
        key_id: Names the key that it needs.
        key_source: Where that key was found; None when it was not.
    """

    path: Path
    orgs: tuple[str, ...]
    key_id: str
    key_source: str | None


class FileVault:
    """Reads the file again after each change, and keeps the decrypted credentials until then."""

    def __init__(self, path: Path, environ: Mapping[str, str] | Variables) -> None:
        self._path, self._environ = path, Variables(environ)
        self._seen: tuple[tuple[int, ...], Document] | None = None
        self._credentials: dict[str, tuple[Document, Credentials]] = {}

    async def locate(self, org_id: str) -> str:
        """Return the file and entry of the credentials; decrypts nothing.

        Raises:
            CredentialError: there is no such file or entry, or others may read the file.
        """
        self._find(org_id)
        return f"file://{self._path}"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Decrypt the credentials.

        Raises:
            CredentialError: as `locate()`; or the key is missing, or the file was altered.
        """
        if fresh:
            await self.aclose()
        document, name = self._find(org_id)
        kept = self._credentials.get(name)
        if kept is None or kept[0] is not document:
            credentials = await asyncio.to_thread(lambda: document.unseal(name, self._key(document.key_id)))
            kept = self._credentials[name] = (document, credentials)
        return kept[1]

    async def set(self, api_key: Secret | str, requester_email: str | None = None, *, org_id: str = "*") -> Status:
        """Store credentials for one organisation, or (`*`) for all that have none of their own. Creates the file.

        Raises:
            CredentialError: they are malformed, or there is no key to encrypt them with. Nothing was stored.
        """
        api_key = Secret(api_key)
        credentials = Credentials(api_key=api_key, requester_email=requester_email)

        def store() -> None:
            with self._locked():
                document = self._load()
                key = self._key(document.key_id) if document else self._first_key()
                self._replace((document or Document(key_id=key.id)).seal(org_id, credentials, key))

        await asyncio.to_thread(store)
        return await self.status()

    async def rotate(self, new_key: Secret | str) -> Status:
        """Encrypt everything anew under a new key.

        Args:
            new_key: The new key, 32 bytes as base64.

        Raises:
            CredentialError: the old key is missing, or the new one is malformed. Nothing was changed.
        """
        new_key = Secret(new_key)

        def rotate() -> None:
            with self._locked():
                old = self._present()
                old_key = self._key(old.key_id)
                key = keys.parse(new_key, "The new key")
                document = Document(key_id=key.id)
                for name in old.entries:
                    document = document.seal(name, old.unseal(name, old_key), key)
                self._replace(document)

        await asyncio.to_thread(rotate)
        return await self.status()

    async def status(self) -> Status:
        """Describe the file without its secrets. CredentialError when it cannot be read."""
        document = self._present()
        try:
            key = await asyncio.to_thread(self._key, document.key_id)
        except CredentialError:
            source = None
        else:
            source = key.source
        return Status(path=self._path, orgs=tuple(sorted(document.entries)), key_id=document.key_id, key_source=source)

    async def aclose(self) -> None:
        """Forget the decrypted credentials."""
        self._credentials.clear()
        self._seen = None

    def _find(self, org_id: str) -> tuple[Document, str]:
        document = self._present()
        name = document.name_for(org_id)
        if name is None:
            raise CredentialError(
                f"The vault {self._path} has no credentials for {org_id!a}. Nothing was sent. "
                "Store some: `arx-pagerduty vault set`."
            )
        return document, name

    def _present(self) -> Document:
        document = self._load()
        if document is None:
            raise CredentialError(
                f"There is no vault file {self._path}. Nothing was sent. Create it: `arx-pagerduty vault set`."
            )
        return document

    def _load(self) -> Document | None:
        """Return the file's document, the same object until the file changes; None when there is no file."""
        try:
            content, state = read_private(self._path, _LIMIT)
            version = (state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size)
            if self._seen is None or self._seen[0] != version:
                self._seen = (version, Document.parse(content))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(getattr(error, "strerror", None) or str(error)) from None
        return self._seen[1]

    def _unreadable(self, problem: str | None) -> CredentialError:
        return CredentialError(f"The vault file {self._path} cannot be used: {problem}. Nothing was sent.")

    def _key(self, key_id: str) -> keys.Key:
        key = keys.from_environment(self._environ)
        if key is None:
            raise CredentialError(
                f"The vault {self._path} needs its key {key_id} in {keys.VARIABLE}. Nothing was sent. "
                f"If version 0.1 kept it in the system's keyring, `keyring get arx-vault {key_id}` prints it."
            )
        if key.id != key_id:
            raise CredentialError(
                f"{keys.VARIABLE} holds the key {key.id}, but the vault {self._path} needs {key_id}. Nothing was sent."
            )
        return key

    def _first_key(self) -> keys.Key:
        key = keys.from_environment(self._environ)
        if key is None:
            raise CredentialError(
                f"{keys.VARIABLE} holds no key to encrypt with. Nothing was stored. Make one with "
                f"`head -c 32 /dev/urandom | base64`; keep it in {keys.VARIABLE} and somewhere safe."
            )
        return key

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from replacing the file between reading and writing it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unreadable(error.strerror) from None

    def _replace(self, document: Document) -> None:
        """Replace the file as a whole: a crash leaves the old content or the new."""
        content = document.dump()
        if len(content) > _LIMIT:
            raise CredentialError(
                f"The vault {self._path} would grow beyond {_LIMIT:,} bytes. Nothing was stored. "
                "Use several files, or hashicorp://."
            )
        create_private(self._path, content, replace=True)
