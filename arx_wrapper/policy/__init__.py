"""Decide what an agent may do: read policies from YAML and judge every effect of a call.

    policies = policy.Policies("policy.yaml", registry=RISKS, connector="pagerduty")
    decision = policies.decide(call, now)

Any matching `deny` wins. Of the other matching entries, the strictest approval applies. A call that no entry permits is
denied.
"""

from arx_wrapper.policy.cases import Case, cases
from arx_wrapper.policy.editor_schema import schema
from arx_wrapper.policy.engine import PolicySet
from arx_wrapper.policy.entry import PolicyEntry
from arx_wrapper.policy.lint import Finding, lint, notes
from arx_wrapper.policy.prediction import possible_verdicts
from arx_wrapper.policy.reload import Policies, PolicyLoaded, PolicySource, load, unread_files
from arx_wrapper.policy.tracing import EntryTrace, trace

__all__ = [
    "Case",
    "EntryTrace",
    "Finding",
    "Policies",
    "PolicyEntry",
    "PolicyLoaded",
    "PolicySet",
    "PolicySource",
    "cases",
    "lint",
    "load",
    "notes",
    "possible_verdicts",
    "schema",
    "trace",
    "unread_files",
]
