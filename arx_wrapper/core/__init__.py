"""The governed pipeline: resolve, authorize, record, approve, send, record. Knows no API."""
