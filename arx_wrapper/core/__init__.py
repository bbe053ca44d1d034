"""Run the governed pipeline: resolve, authorize, record, approve, send, record. It knows no particular API."""
