"""Keep the endpoints behind the connector's operations, and nothing that is PagerDuty's prose."""

from __future__ import annotations

from typing import Any, Final

from codegen.document import JSON, CodegenError

# The four further endpoints, which the published document lacks, come from the overlay.
ENDPOINTS: Final = (
    "GET /incidents",
    "POST /incidents",
    "PUT /incidents",
    "GET /incidents/{id}",
    "PUT /incidents/{id}",
    "POST /incidents/{id}/snooze",
    "PUT /incidents/{id}/merge",
    "GET /incidents/{id}/alerts",
    "PUT /incidents/{id}/alerts/{alert_id}",
    "GET /incidents/{id}/log_entries",
    "GET /incidents/{id}/notes",
    "POST /incidents/{id}/notes",
    "GET /services",
    "POST /services",
    "GET /services/{id}",
    "PUT /services/{id}",
    "DELETE /services/{id}",
    "POST /services/{id}/integrations",
    "GET /escalation_policies",
    "POST /escalation_policies",
    "GET /escalation_policies/{id}",
    "PUT /escalation_policies/{id}",
    "DELETE /escalation_policies/{id}",
    "GET /schedules",
    "GET /schedules/{id}",
    "GET /oncalls",
    "GET /users",
    "GET /users/{id}",
    "GET /users/{id}/contact_methods",
    "GET /users/{id}/notification_rules",
    "GET /teams",
    "GET /teams/{id}",
    "GET /maintenance_windows",
    "POST /maintenance_windows",
    "DELETE /maintenance_windows/{id}",
    "POST /analytics/metrics/incidents/all",
    "POST /analytics/metrics/incidents/services",
)

# Prose, and what would leak into code: titles rename classes, defaults are sent without being asked for.
_DROPPED: Final = frozenset(
    {"description", "summary", "title", "example", "examples", "externalDocs", "default", "discriminator"}
)
_KEPT: Final = ("parameters", "requestBody", "responses")


def select(published: JSON, endpoints: tuple[str, ...] = ENDPOINTS) -> JSON:
    """The chosen endpoints with their success answers, and all components, without prose.

    Raises:
        CodegenError: the published document lacks one of the endpoints.
    """
    paths: JSON = {}
    for endpoint in endpoints:
        method, path = endpoint.lower().split(" ", 1)
        operation = published["paths"].get(path, {}).get(method)
        if operation is None:
            raise CodegenError(f"{endpoint} is no longer published; ENDPOINTS in codegen/select.py asks for it")
        kept = {key: operation[key] for key in _KEPT if key in operation}
        shared = published["paths"][path].get("parameters", [])
        kept["parameters"] = [*kept.get("parameters", []), *shared]
        kept["responses"] = {code: answer for code, answer in kept["responses"].items() if code[0] == "2"}
        paths.setdefault(path, {})[method] = plain(kept)
    schemas, parameters = published["components"]["schemas"], published["components"].get("parameters", {})
    return {
        "openapi": "3.0.2",
        "info": {"title": "PagerDuty", "version": published["info"]["version"]},
        "servers": [{"url": server["url"]} for server in published.get("servers", [])],
        "paths": paths,
        "components": {
            "schemas": {name: plain(schema) for name, schema in schemas.items()},
            "parameters": {name: plain(parameter) for name, parameter in parameters.items()},
        },
    }


def plain(node: Any) -> Any:
    """A node without prose, examples, defaults and extensions; members of `properties` keep their names."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: plain(schema) for name, schema in value.items()} if key == "properties" else plain(value)
        for key, value in node.items()
        if key == "properties" or not (key in _DROPPED or key.startswith("x-"))
    }
