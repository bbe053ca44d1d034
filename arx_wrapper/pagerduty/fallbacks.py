"""Define the other requests that read the same data, for accounts that do not serve an operation's endpoint."""

from __future__ import annotations

from typing import Any, Final

from arx_wrapper.model import Fallback, Lookup, Params


async def _integrations_of_service(lookup: Lookup, params: Params) -> dict[str, Any]:
    found = await lookup("services.get_service", params["service_id"], include=["integrations"])
    return {"integrations": found.get("service", {}).get("integrations", [])}


# PagerDuty documents only the service with its integrations included; some accounts also serve the list's own path.
INTEGRATIONS_OF_SERVICE: Final = Fallback(statuses=frozenset({404, 405}), read=_integrations_of_service)
