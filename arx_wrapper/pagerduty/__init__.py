"""PagerDuty: the table of operations and everything that is specific to its API."""
