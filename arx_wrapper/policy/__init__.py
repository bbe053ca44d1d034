"""Policy: what an agent may do, read from YAML, judged for everything that a call amounts to.

    policies = policy.Policies("policy.yaml", registry=RISKS, connector="pagerduty")
    decision = policies.decide(call, now)

Any matching `deny` wins; the strictest approval of the entries that match holds; what nothing permits is denied.
"""

from arx_wrapper.policy.engine import EntryTrace, PolicySet
from arx_wrapper.policy.entry import PolicyEntry
from arx_wrapper.policy.lint import Finding, lint
from arx_wrapper.policy.live import Policies, PolicyLoaded, load
from arx_wrapper.policy.schema import schema

__all__ = ["EntryTrace", "Finding", "Policies", "PolicyEntry", "PolicyLoaded", "PolicySet", "lint", "load", "schema"]
