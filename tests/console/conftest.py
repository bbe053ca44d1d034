"""The console over a deployment whose approvals need proof, and a browser in software that has passkeys."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from arx_wrapper.cli.console import make_app
from tests.approvals.authenticator import ORIGIN, Authenticator
from tests.approvals.deployment import Deployment


class Browser:
    """Somebody's browser at the console."""

    def __init__(self, application: Any, passkey: Authenticator | None = None, origin: str = ORIGIN) -> None:
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=origin)
        self.passkey, self.origin, self.csrf = passkey or Authenticator(), origin, ""

    async def get(self, path: str) -> httpx.Response:
        found = await self.http.get(path)
        if token := re.search(r'<meta name="csrf" content="([^"]+)">', found.text):
            self.csrf = token[1]
        return found

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Post as a page's script does."""
        sent = {"Origin": self.origin, "X-CSRF-Token": self.csrf, **headers}
        return await self.http.post(path, json=body, headers={name: value for name, value in sent.items() if value})

    async def submit(self, path: str, **fields: str) -> httpx.Response:
        """Post as a form does."""
        return await self.http.post(path, data={"csrf": self.csrf, **fields}, headers={"Origin": self.origin})

    async def signed(self, path: str, said: dict[str, Any], **how: Any) -> httpx.Response:
        """Have the passkey sign what the page says, and post it."""
        options = await self.post(f"{path}/options", said)
        if options.status_code != 200:
            return options
        found = options.json()
        encoded = found["publicKey"]["challenge"]
        challenge = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        make = self.passkey.register if path.startswith("/enrol") else self.passkey.sign
        credential = httpx.Response(200, text=make(challenge, **{"origin": self.origin, **how})).json()
        return await self.post(path, {**said, **found["echo"], "credential": credential})

    async def sign_in(self, **how: Any) -> httpx.Response:
        answer = await self.signed("/sign-in", {"next": "/"}, **how)
        await self.get("/")
        return answer


class Pages:
    """A console, its deployment, and browsers."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.application = make_app(deployment.pd.backends, "org-acme", ORIGIN)
        self.console = self.application.state.console

    async def browser(self, name: str | None = None) -> Browser:
        """A browser, signed in as an enrolled reviewer when one is named."""
        made = Browser(self.application, self.deployment.passkeys.get(name or ""))
        if name:
            assert (await made.sign_in()).json() == {"go": "/"}
        return made


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    """A console where Alice is the first reviewer and Bob was confirmed by her."""
    deployment = Deployment(tmp_path)
    async with deployment.pd:
        await deployment.enrol("alice")
        await deployment.enrol("bob", by="alice")
        yield Pages(deployment)
