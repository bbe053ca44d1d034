"""Approve in Slack: a card in the channel that the policy names, with two buttons.

channel = slack.Slack(token=..., channel="#approvals")
store = approvals.open(url, channels=[channel])
serve(slack.app(store, signing_secret=..., reviewers={"U012AB3CD": "alice"}, slack=channel))
"""

from __future__ import annotations

from arx_wrapper.approvals.slack.callbacks import app
from arx_wrapper.approvals.slack.channel import Slack

__all__ = ["Slack", "app"]
