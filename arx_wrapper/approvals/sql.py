"""Define the approval store's tables, and the statements that read and write them."""

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
CREATE INDEX IF NOT EXISTS approval_requests_v2_waiting
    ON approval_requests_v2 (org_id, created_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS approval_requests_v2_newest ON approval_requests_v2 (created_at DESC, id);
CREATE INDEX IF NOT EXISTS approval_requests_v2_newest_of ON approval_requests_v2 (org_id, created_at DESC, id);
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

# Roles of PostgreSQL see and write the requests of their own organisations, as they do the records of the audit log.
# Roles that could use the tables before keep their access: to their organisations in the log, or else to all.
ACCESS = """
CREATE TABLE approval_access (role name, org_id text, PRIMARY KEY (role, org_id));
ALTER TABLE approval_access ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_own ON approval_access
    USING (role IN (SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'USAGE')));
GRANT SELECT ON approval_access TO PUBLIC;
ALTER TABLE approval_requests_v2 ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_organisations ON approval_requests_v2 USING (
    org_id IN (SELECT access.org_id FROM approval_access AS access)
    OR '*' IN (SELECT access.org_id FROM approval_access AS access)
);
ALTER TABLE approval_reviews_v2 ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_organisations ON approval_reviews_v2
    USING (EXISTS (SELECT FROM approval_requests_v2 AS asked WHERE asked.id = request_id));
ALTER TABLE approval_messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON approval_messages FOR SELECT USING (true);
CREATE POLICY noted ON approval_messages FOR INSERT WITH CHECK (true);
CREATE POLICY forgotten ON approval_messages FOR DELETE
    USING (forget_at <= to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT DISTINCT rolname FROM pg_class, LATERAL aclexplode(relacl) JOIN pg_roles ON pg_roles.oid = grantee
        WHERE pg_class.oid = 'approval_requests_v2'::regclass AND grantee <> relowner LOOP
        IF to_regclass('arx_audit.access') IS NOT NULL THEN
            EXECUTE 'INSERT INTO approval_access SELECT role, org_id FROM arx_audit.access WHERE role = $1'
                USING one.rolname;
        END IF;
        INSERT INTO approval_access SELECT one.rolname, '*'
            WHERE NOT EXISTS (SELECT FROM approval_access WHERE role = one.rolname);
    END LOOP;
END $$;
"""

APART = ("id", "digest", "call_digest", "org_id", "agent_id", "state", "created_at", "expires_at", "decisions")
# A request expires by time alone: no process has to run to change its state.
STATE = "CASE WHEN state IN ('pending', 'approved') AND expires_at <= ? THEN 'expired' ELSE state END"
# The states that depend on the time, each as a condition whose argument is the time. Other states are stored as such.
IN_STATE = {
    "pending": "(state = 'pending' AND expires_at > ?)",
    "approved": "(state = 'approved' AND expires_at > ?)",
    "expired": "(state = 'expired' OR (state IN ('pending', 'approved') AND expires_at <= ?))",
}
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
