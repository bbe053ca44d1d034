"""Connect to PagerDuty: the table of operations and all code that is specific to its API."""
