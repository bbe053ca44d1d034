"""PagerDuty's endpoints, a module for each family."""

from arx_wrapper.sandbox.routes import changes, incidents, people, services, timeline

__all__ = ["ENDPOINTS"]

ENDPOINTS = tuple(
    endpoint for family in (incidents, changes, timeline, services, people) for endpoint in family.ENDPOINTS
)
