-- Who may do what: roles that can add and read, each the records of its own organisations; '*' stands for all of them.
-- The owner is not held to this: it verifies, migrates and admits, and is not for connectors to log in as.
CREATE TABLE arx_audit.access (role name, org_id text COLLATE "C", PRIMARY KEY (role, org_id));
ALTER TABLE arx_audit.access ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_own ON arx_audit.access
    USING (role IN (SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'USAGE')));

ALTER TABLE arx_audit.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_organisations ON arx_audit.records
    USING (org_id IN (SELECT access.org_id FROM arx_audit.access) OR '*' IN (SELECT access.org_id FROM arx_audit.access));

ALTER TABLE arx_audit.usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_organisations ON arx_audit.usage
    USING (org_id IN (SELECT access.org_id FROM arx_audit.access) OR '*' IN (SELECT access.org_id FROM arx_audit.access));

-- Whether the current role sees every record, so that it can verify the chain.
CREATE FUNCTION arx_audit.sees_all() RETURNS boolean LANGUAGE sql STABLE
    RETURN NOT row_security_active('arx_audit.records') OR '*' IN (SELECT org_id FROM arx_audit.access);

-- Admit a role as `auditor` (reads), `connector` (reads and adds) or `operator` (also suspends agents).
CREATE FUNCTION arx_audit.admit(role name, org text, duty text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF duty IS NULL OR duty NOT IN ('auditor', 'connector', 'operator') THEN
        RAISE EXCEPTION 'a role is admitted as auditor, connector or operator, not as %', duty;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA arx_audit TO %I', role);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA arx_audit FROM %I', role);
    EXECUTE format('GRANT SELECT ON arx_audit.records, arx_audit.head, arx_audit.open_intents, arx_audit.access, '
                   'arx_audit.versions TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.sees_all, arx_audit.claim_key TO %I', role);
    IF duty <> 'auditor' THEN
        EXECUTE format('GRANT INSERT (seq, id, hash, body) ON arx_audit.records TO %I', role);
        EXECUTE format('GRANT SELECT, INSERT (org_id, agent_id, operation, seq, n) ON arx_audit.usage TO %I', role);
        EXECUTE format('GRANT USAGE ON SEQUENCE arx_audit.writers TO %I', role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.take_turn, arx_audit.forget_usage TO %I', role);
    END IF;
    IF duty = 'operator' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.suspend TO %I', role);
    END IF;
    INSERT INTO arx_audit.access VALUES (role, org) ON CONFLICT DO NOTHING;
END $$;

-- Take every right back from a role.
CREATE FUNCTION arx_audit.dismiss(role name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM arx_audit.access WHERE access.role = dismiss.role;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA arx_audit FROM %I', role);
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA arx_audit FROM %I', role);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA arx_audit FROM %I', role);
    EXECUTE format('REVOKE ALL ON SCHEMA arx_audit FROM %I', role);
END $$;

REVOKE ALL ON FUNCTION arx_audit.sees_all, arx_audit.admit, arx_audit.dismiss FROM PUBLIC;
