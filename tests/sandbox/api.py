"""A thin caller for the tests of the sandbox: one line a call, the status part of the claim."""

from __future__ import annotations

from typing import Any

import httpx

from arx_wrapper.sandbox import Sandbox

JSON = dict[str, Any]


def headers(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Token token={sandbox.token}", "From": sandbox.email}


class Api:
    """Calls a sandbox and checks the status of the answer."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200, **params: Any) -> JSON:
        query = {name.removesuffix("_list") + "[]" * name.endswith("_list"): v for name, v in params.items()}
        answer = await self.client.request(method, path, json=body, params=query or None)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}

    async def refused(self, method: str, path: str, body: Any = None, *, status: int = 400, **params: Any) -> int:
        """The code of the error."""
        answer = await self(method, path, body, status=status, **params)
        return int(answer["error"]["code"])

    async def create(self, **members: Any) -> JSON:
        """A new incident on the reference's service."""
        incident = {"type": "incident", "title": "Disk full", "service": ref("service", "PABC123"), **members}
        return dict((await self("POST", "/incidents", {"incident": incident}, status=201))["incident"])

    async def change(self, incident: JSON, **members: Any) -> JSON:
        body = {"incident": {"type": "incident_reference", **members}}
        return dict((await self("PUT", f"/incidents/{incident['id']}", body))["incident"])

    async def get(self, incident: JSON) -> JSON:
        return dict((await self("GET", f"/incidents/{incident['id']}"))["incident"])


def ref(kind: str, id_: str) -> JSON:
    return {"id": id_, "type": f"{kind}_reference"}


def ids(items: list[JSON]) -> list[str]:
    return [item["id"] for item in items]
