"""A thin client, for use without the governed wrapper. Credentials are the caller's `httpx.AsyncClient`'s business."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

import httpx

from .errors import UnexpectedAnswerError, UnexpectedStatusError
from .types import UNSET, Request

ACCEPT: Final = "application/vnd.pagerduty+json;version=2"
DEFAULT_BASE_URL: Final = "https://api.pagerduty.com"


class Client:
    """Sends requests through an `httpx.AsyncClient`.

        http = httpx.AsyncClient(headers={"Authorization": ...})
        async with Client(http=http) as client:
            page = await list_incidents.call(statuses=["triggered"], client=client)

    Args:
        base_url: Where PagerDuty is; the given client's own base URL wins over the default.
        http: The client to send through; one is built when it is left out.
        timeout: Seconds that each phase of a request may take.
    """

    def __init__(
        self, base_url: str | None = None, *, http: httpx.AsyncClient | None = None, timeout: float = 30.0
    ) -> None:
        own = str(http.base_url) if http is not None else ""
        self._base = (base_url or own or DEFAULT_BASE_URL).rstrip("/")
        self._http = http if http is not None else httpx.AsyncClient(trust_env=False)
        self._timeout = timeout

    async def send(self, request: Request) -> httpx.Response:
        """Send a request, once, and follow no redirect.

        Raises:
            httpx.HTTPError: there was no answer.
        """
        return await self._http.request(
            request.method,
            self._base + request.path,
            params=request.query or None,
            headers={"Accept": ACCEPT, **dict(request.headers)},
            json=None if request.json is UNSET else request.json,
            timeout=self._timeout,
            follow_redirects=False,
        )

    async def answer(self, request: Request) -> Any:
        """Send a request and return its JSON, None when success has no body.

        Raises:
            UnexpectedStatusError: the status is not 2xx.
            UnexpectedAnswerError: success, but no JSON.
        """
        response = await self.send(request)
        if not 200 <= response.status_code < 300:
            raise UnexpectedStatusError(response.status_code, request.operation_id)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise UnexpectedAnswerError(f"{request.operation_id} succeeded, but its answer is not JSON") from None

    async def aclose(self) -> None:
        """Close the client below."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
