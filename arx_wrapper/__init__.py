"""Governed PagerDuty connector."""
