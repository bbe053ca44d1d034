"""Signed checkpoints and inclusion proofs (C2SP tlog-checkpoint, RFC 6962)."""
