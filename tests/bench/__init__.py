"""Measurements: `make bench`. They print ratios and assert nothing."""
