"""Send requests with a thin client, without the governed wrapper. The caller's HTTP client adds the credentials."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from .errors import UnexpectedAnswerError, UnexpectedStatusError, shown
from .types import UNSET, Request

if TYPE_CHECKING:
    import httpx
    import httpx2

    AsyncClient: TypeAlias = httpx.AsyncClient | httpx2.AsyncClient
    Response: TypeAlias = httpx.Response | httpx2.Response

ACCEPT: Final = "application/vnd.pagerduty+json;version=2"
DEFAULT_BASE_URL: Final = "https://api.pagerduty.com"
_LARGEST: Final = 100_000  # bytes of an error that are read
_MOST: Final = 10  # details of an error that are kept


class Client:
    """Sends requests through an `AsyncClient` of httpx, or of httpx2, its maintained continuation.

        http = httpx.AsyncClient(headers={"Authorization": ...})
        async with Client(http=http) as client:
            page = await list_incidents.call(statuses=["triggered"], client=client)

    Args:
        base_url: PagerDuty's address; by default the given client's base URL, or else PagerDuty's.
        http: The client to send through; by default a new one.
        timeout: Seconds that each phase of a request may take.
    """

    def __init__(self, base_url: str | None = None, *, http: AsyncClient | None = None, timeout: float = 30.0) -> None:
        own = str(http.base_url) if http is not None else ""
        self._base = (base_url or own or DEFAULT_BASE_URL).rstrip("/")
        if http is None:
            import httpx

            http = httpx.AsyncClient(trust_env=False)
        self._http = http
        self._timeout = timeout

    async def send(self, request: Request) -> Response:
        """Send a request, once, and follow no redirect.

        Raises:
            HTTPError: of the client's library; there was no response.
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
            UnexpectedAnswerError: the status is 2xx, but the body is not JSON.
        """
        response = await self.send(request)
        if not 200 <= response.status_code < 300:
            raise _unexpected(response, request.operation_id)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise UnexpectedAnswerError(f"{request.operation_id} succeeded, but its answer is not JSON") from None

    async def aclose(self) -> None:
        """Close the HTTP client."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _unexpected(response: Response, operation_id: str) -> UnexpectedStatusError:
    """Build the error for a response: `error` may be an object, a list or text, and the body may not be JSON."""
    try:
        said = response.json() if len(response.content) <= _LARGEST else None
    except ValueError:
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    error = error[0] if isinstance(error, list) and error else error
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = {}
    secret = response.request.headers.get("authorization", "")
    details = error.get("errors")
    listed = details if isinstance(details, list) else [details] if details else []
    code = error.get("code")
    return UnexpectedStatusError(
        response.status_code,
        operation_id,
        code if isinstance(code, int) else None,
        _told(error["message"], secret) if isinstance(error.get("message"), str) else None,
        tuple(_told(each, secret) for each in listed[:_MOST]),
        _seconds(response.headers.get("retry-after") or response.headers.get("ratelimit-reset")),
    )


def _told(value: object, secret: str) -> str:
    """Return a server's text for a message, without the request's credentials, escaped and cut."""
    text = value if isinstance(value, str) else repr(value)
    for part in secret.replace("token=", " ").split():
        if len(part) > 7:
            text = text.replace(part, "[masked]")
    return shown(text)[1:-1]


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None
