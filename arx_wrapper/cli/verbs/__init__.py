"""Verbs that people type: thin names over the operations, which take the same way through the pipeline as `call`."""
