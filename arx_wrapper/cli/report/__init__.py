"""`audit report`: the log of a span of time as one file for auditors, as HTML or JSON."""
