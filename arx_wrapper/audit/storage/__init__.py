"""The databases that hold a log."""
