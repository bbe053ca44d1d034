"""Build the client: trim PagerDuty's published document to `spec/pagerduty.json`, and generate code from that.

Every step is a pure function from one document to the next, in a module of its own; `trim.py` calls them in order.
"""
