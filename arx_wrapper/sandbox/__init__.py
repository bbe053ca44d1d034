"""Simulate a stateful PagerDuty account for tests, demonstrations and development: `Sandbox`.

Needs the `sandbox` extra. `arx_wrapper.sandbox.server` serves it over HTTP.
"""

from arx_wrapper.sandbox.app import Recorded, Sandbox
from arx_wrapper.sandbox.faults import Fault, Faults, Options
from arx_wrapper.sandbox.limits import RateLimit

__all__ = ["Fault", "Faults", "Options", "RateLimit", "Recorded", "Sandbox"]
