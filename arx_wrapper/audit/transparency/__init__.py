"""Sign checkpoints of a log, and prove inclusion and consistency (C2SP tlog-checkpoint, RFC 6962)."""
