"""`arx-pagerduty approvals`."""
