"""The governed PagerDuty connector.

    from arx_wrapper import PagerDutyConnector

    async with PagerDutyConnector(agent_id="agent-001", org_id="org-acme") as pd:
        await pd.acknowledge_incident("P1234AB")

Every call goes through policy, approval and the audit log before it reaches PagerDuty; see
`arx_wrapper.core.pipeline` for the steps and `arx_wrapper.errors` for the ways it can end.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from arx_wrapper import errors
from arx_wrapper._version import __version__
from arx_wrapper.errors import *  # noqa: F403 - the error tree is public as a whole

if TYPE_CHECKING:
    from arx_wrapper.config import Config
    from arx_wrapper.core.connector import BaseConnector, Plan
    from arx_wrapper.core.provenance import correlate
    from arx_wrapper.model import Call, Decision, Effect, Operation, Risk, Verdict
    from arx_wrapper.pagerduty.connector import PagerDutyConnector
    from arx_wrapper.pagerduty.operations import EXTENSIONS, OPERATIONS
    from arx_wrapper.pagerduty.pagination import Page
    from arx_wrapper.params import NULL

# Loaded on first use: importing one name does not import everything else.
_LAZY = {
    "NULL": "params",
    "EXTENSIONS": "pagerduty.operations",
    "OPERATIONS": "pagerduty.operations",
    "BaseConnector": "core.connector",
    "Call": "model",
    "correlate": "core.provenance",
    "Config": "config.model",
    "Decision": "model",
    "Effect": "model",
    "Operation": "model",
    "Page": "pagerduty.pagination",
    "Plan": "core.connector",
    "PagerDutyConnector": "pagerduty.connector",
    "Risk": "model",
    "Verdict": "model",
}

__all__ = [
    "NULL",
    "EXTENSIONS",
    "OPERATIONS",
    "BaseConnector",
    "Call",
    "Config",
    "Decision",
    "Effect",
    "Operation",
    "Page",
    "PagerDutyConnector",
    "Plan",
    "Risk",
    "Verdict",
    "correlate",
    "__version__",
    *errors.__all__,
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
