"""`arx-pagerduty doctor`: check the set-up."""
