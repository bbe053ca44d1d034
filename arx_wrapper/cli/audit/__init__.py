"""`arx-pagerduty audit`."""
