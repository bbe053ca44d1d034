"""The approval store's tables, and the statements that read and write them."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS approval_requests_v2 (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    call_digest TEXT NOT NULL,
    org_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS approval_requests_v2_pending
    ON approval_requests_v2 (call_digest) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS approval_requests_v2_state ON approval_requests_v2 (state, org_id, agent_id);
CREATE TABLE IF NOT EXISTS approval_reviews_v2 (
    request_id TEXT NOT NULL REFERENCES approval_requests_v2 (id),
    person TEXT NOT NULL,
    seq INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    approve INTEGER NOT NULL,
    note TEXT NOT NULL,
    at TEXT NOT NULL,
    signature TEXT,
    PRIMARY KEY (request_id, person)
);
CREATE TABLE IF NOT EXISTS approval_messages (
    id TEXT PRIMARY KEY,
    forget_at TEXT NOT NULL
);
"""

APART = ("id", "digest", "call_digest", "org_id", "agent_id", "state", "created_at", "expires_at", "decisions")
# A request expires by time alone: no process has to run to change its state.
STATE = "CASE WHEN state IN ('pending', 'approved') AND expires_at <= ? THEN 'expired' ELSE state END"
COLUMNS = f"id, digest, call_digest, org_id, agent_id, {STATE}, created_at, expires_at, body"
SELECT = f"SELECT {COLUMNS} FROM approval_requests_v2"  # noqa: S608 - ours
INSERT = """
INSERT INTO approval_requests_v2 (id, digest, call_digest, org_id, agent_id, state, created_at, expires_at, body)
VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?)
"""
REVIEW = """
INSERT INTO approval_reviews_v2 (request_id, person, seq, reviewer, approve, note, at, signature)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
PENDING = "SELECT count(*) FROM approval_requests_v2 WHERE state = 'pending' AND org_id = ? AND agent_id = ?"
REVIEWS = """
SELECT reviewer, approve, note, at, signature FROM approval_reviews_v2 WHERE request_id = ? ORDER BY seq
"""
STATES = f"""
SELECT id, {STATE}, (SELECT count(*) FROM approval_reviews_v2 WHERE request_id = approval_requests_v2.id)
FROM approval_requests_v2 WHERE org_id = ? ORDER BY created_at DESC LIMIT 500
"""  # noqa: S608 - ours
EXPIRE = "UPDATE approval_requests_v2 SET state = 'expired' WHERE state = 'pending' AND expires_at <= ?"
