"""The build step: PagerDuty's published document becomes `spec/pagerduty.json`, and that becomes the client.

Every step is a pure function from one document to the next, in a file of its own; `trim.py` states their order.
"""
