"""Verbs that people type: short names for operations, which pass the same pipeline as `call`."""
