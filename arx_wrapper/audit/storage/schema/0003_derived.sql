-- What follows from the records is written by the records' own trigger alone, or read from them: suspensions, uses that
-- limits count, open intents, and the tiles of the Merkle tree (C2SP tlog-tiles).
ALTER TABLE arx_audit.records
    ADD COLUMN approval_id text COLLATE "C",
    ADD COLUMN reviewer text COLLATE "C",
    ADD COLUMN targets text[] COLLATE "C",
    ADD COLUMN counted json;

CREATE TABLE arx_audit.tiles (
    level integer, number bigint, hashes bytea NOT NULL, PRIMARY KEY (level, number)
);

-- An open intent belongs to an organisation, which alone can answer it, and to a role, whose session holds its lock.
ALTER TABLE arx_audit.open_intents ADD COLUMN org_id text COLLATE "C", ADD COLUMN role oid;
UPDATE arx_audit.open_intents SET org_id = records.org_id FROM arx_audit.records WHERE records.id = open_intents.intent;
ALTER TABLE arx_audit.open_intents ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_organisations ON arx_audit.open_intents
    USING (org_id IN (SELECT access.org_id FROM arx_audit.access) OR '*' IN (SELECT access.org_id FROM arx_audit.access));

DELETE FROM arx_audit.usage WHERE n <= 0;
ALTER TABLE arx_audit.usage ADD CONSTRAINT uses_are_positive CHECK (n > 0);

DROP FUNCTION arx_audit.suspend(text, text);
DROP TABLE arx_audit.suspended;

-- The right to record that an agent is suspended or goes on.
CREATE FUNCTION arx_audit.may_suspend() RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;

-- A record's JSON as PostgreSQL can read it: its text cannot hold the character NUL, which a record can.
CREATE FUNCTION arx_audit.readable(body text) RETURNS json
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF position('\u0000' IN body) = 0 THEN
        RETURN body::json;
    END IF;
    RETURN regexp_replace(body, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::json;
END $$;

CREATE OR REPLACE FUNCTION arx_audit.read_record() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said record;
BEGIN
    SELECT * INTO said FROM json_to_record(arx_audit.readable(NEW.body)) AS said(
        seq bigint, id text, created_at text, prev_hash text, org_id text, agent_id text, action_type text,
        operation text, policy_verdict text, status text, approval_id text, metadata json
    );
    IF (said.seq, said.id) IS DISTINCT FROM (NEW.seq, NEW.id) THEN
        RAISE EXCEPTION 'an audit record says itself which one it is' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF said.action_type IN ('agent.suspended', 'agent.resumed')
        AND NOT has_function_privilege('arx_audit.may_suspend()', 'EXECUTE') THEN
        RAISE EXCEPTION 'only an operator suspends agents' USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.created_at := said.created_at;
    NEW.prev_hash := said.prev_hash;
    NEW.org_id := said.org_id;
    NEW.agent_id := said.agent_id;
    NEW.action_type := said.action_type;
    NEW.operation := said.operation;
    NEW.verdict := said.policy_verdict;
    NEW.status := said.status;
    NEW.intent := said.metadata ->> 'intent';
    NEW.approval_id := said.approval_id;
    NEW.reviewer := said.metadata ->> 'reviewer';
    NEW.counted := CASE WHEN said.action_type = 'connector.called' THEN said.metadata -> 'counted' END;
    IF json_typeof(said.metadata -> 'ids') = 'object' THEN
        NEW.targets := ARRAY(
            SELECT DISTINCT one.id FROM json_each(said.metadata -> 'ids') AS named, LATERAL (
                SELECT json_array_elements_text(named.value) AS id WHERE json_typeof(named.value) = 'array'
                UNION ALL SELECT named.value #>> '{}' WHERE json_typeof(named.value) = 'string'
            ) AS one WHERE one.id IS NOT NULL
        );
    END IF;
    RETURN NEW;
END $$;

-- The root over the hashes of a tile.
CREATE FUNCTION arx_audit.subtree(hashes bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nodes bytea := hashes;
    width integer := length(hashes) / 32;
BEGIN
    WHILE width > 1 LOOP
        width := width / 2;
        nodes := (SELECT string_agg(sha256('\x01'::bytea || substring(nodes FROM i * 64 + 1 FOR 64)), ''::bytea ORDER BY i)
                  FROM generate_series(0, width - 1) AS i);
    END LOOP;
    RETURN nodes;
END $$;

-- Store the tiles that are complete with the 256th record of a block.
CREATE FUNCTION arx_audit.grow(block bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = arx_audit, pg_temp AS $$
DECLARE
    depth integer := 0;
    place bigint := block;
    row bytea := (SELECT string_agg(sha256('\x00'::bytea || convert_to(body, 'UTF8')), ''::bytea ORDER BY seq)
                  FROM records WHERE seq BETWEEN block * 256 + 1 AND (block + 1) * 256);
BEGIN
    INSERT INTO tiles VALUES (0, block, row);
    LOOP
        EXIT WHEN length(row) < 8192;
        INSERT INTO tiles VALUES (depth + 1, place / 256, subtree(row))
            ON CONFLICT (level, number) DO UPDATE SET hashes = tiles.hashes || excluded.hashes;
        depth := depth + 1;
        place := place / 256;
        SELECT tiles.hashes INTO row FROM tiles WHERE tiles.level = depth AND tiles.number = place;
    END LOOP;
END $$;

-- Runs with its owner's rights: writers add records, and have no way to the head and what follows but this.
CREATE OR REPLACE FUNCTION arx_audit.follow_head() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
DECLARE
    last head%ROWTYPE;
    one record;
    begun bigint;
BEGIN
    SELECT * INTO last FROM head FOR UPDATE;
    begun := last.seq;
    FOR one IN SELECT * FROM added ORDER BY added.seq LOOP
        IF one.seq <> last.seq + 1 OR one.prev_hash IS DISTINCT FROM last.hash THEN
            RAISE EXCEPTION 'audit records follow the last one' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        last.seq := one.seq;
        last.hash := one.hash;
    END LOOP;
    UPDATE head SET seq = last.seq, hash = last.hash WHERE head.seq <> last.seq;
    INSERT INTO open_intents (intent, writer, org_id, role)
        SELECT id, coalesce(nullif(current_setting('arx_audit.writer', true), '')::integer, 0), org_id,
               (SELECT oid FROM pg_roles WHERE rolname = session_user)
        FROM added WHERE action_type = 'connector.called';
    DELETE FROM open_intents USING added
        WHERE open_intents.intent = added.intent AND open_intents.org_id = added.org_id;
    INSERT INTO usage (org_id, agent_id, operation, seq, n)
        SELECT added.org_id, added.agent_id, uses.key, added.seq, uses.value::integer
        FROM added, json_each_text(added.counted) AS uses WHERE json_typeof(added.counted) = 'object';
    FOR block IN begun / 256 .. last.seq / 256 - 1 LOOP
        PERFORM grow(block);
    END LOOP;
    RETURN NULL;
END $$;

-- Wait for the turn to write, until the transaction ends: the chain's end, which of these agents are suspended, and the
-- server's process, which is another one when a pooler gives every transaction a session of its own.
DROP FUNCTION arx_audit.take_turn(text[]);
CREATE FUNCTION arx_audit.take_turn(agents text[], OUT seq bigint, OUT hash text, OUT reasons json, OUT backend integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
BEGIN
    SELECT head.seq, head.hash INTO take_turn.seq, take_turn.hash FROM head FOR UPDATE;
    SELECT coalesce(json_object_agg(last.agent_id, last.reason), '{}') INTO reasons FROM (
        SELECT DISTINCT ON (agent_id) agent_id, action_type,
               coalesce(readable(body) ->> 'reason', '') AS reason
        FROM records WHERE agent_id = ANY (agents) AND action_type IN ('agent.suspended', 'agent.resumed')
        ORDER BY agent_id, records.seq DESC
    ) AS last WHERE last.action_type = 'agent.suspended';
    backend := pg_backend_pid();
END $$;

CREATE OR REPLACE FUNCTION arx_audit.admit(role name, org text, duty text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF duty IS NULL OR duty NOT IN ('auditor', 'connector', 'operator') THEN
        RAISE EXCEPTION 'a role is granted access as auditor, connector or operator, not as %', duty;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA arx_audit TO %I', role);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA arx_audit FROM %I', role);
    EXECUTE format('GRANT SELECT ON arx_audit.records, arx_audit.head, arx_audit.open_intents, arx_audit.access, '
                   'arx_audit.versions, arx_audit.tiles, arx_audit.usage TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.sees_all, arx_audit.claim_key, arx_audit.readable TO %I', role);
    IF duty <> 'auditor' THEN
        EXECUTE format('GRANT INSERT (seq, id, hash, body) ON arx_audit.records TO %I', role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.take_turn, arx_audit.forget_usage TO %I', role);
    END IF;
    IF duty = 'operator' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.may_suspend TO %I', role);
    END IF;
    INSERT INTO arx_audit.access VALUES (role, org) ON CONFLICT DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION arx_audit.may_suspend, arx_audit.readable, arx_audit.subtree, arx_audit.grow, arx_audit.take_turn FROM PUBLIC;

-- Roles that have access already keep it, as what they were.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT DISTINCT access.role FROM arx_audit.access JOIN pg_roles ON rolname = access.role LOOP
        EXECUTE format('REVOKE INSERT ON arx_audit.usage FROM %I', one.role);
        EXECUTE format('REVOKE ALL ON SEQUENCE arx_audit.writers FROM %I', one.role);
        EXECUTE format('GRANT SELECT ON arx_audit.tiles, arx_audit.usage TO %I', one.role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.readable TO %I', one.role);
        IF has_column_privilege(one.role, 'arx_audit.records', 'body', 'INSERT') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.take_turn TO %I', one.role);
        END IF;
    END LOOP;
END $$;
DROP SEQUENCE arx_audit.writers;

-- The new columns of the records that are there, and their tiles.
ALTER TABLE arx_audit.records DISABLE TRIGGER records_never_change;
UPDATE arx_audit.records SET
    approval_id = said.body ->> 'approval_id',
    reviewer = said.body #>> '{metadata,reviewer}',
    targets = CASE WHEN json_typeof(said.body #> '{metadata,ids}') = 'object' THEN ARRAY(
        SELECT DISTINCT one.id FROM json_each(said.body #> '{metadata,ids}') AS named, LATERAL (
            SELECT json_array_elements_text(named.value) AS id WHERE json_typeof(named.value) = 'array'
            UNION ALL SELECT named.value #>> '{}' WHERE json_typeof(named.value) = 'string'
        ) AS one WHERE one.id IS NOT NULL
    ) END
FROM (SELECT seq, arx_audit.readable(body) AS body FROM arx_audit.records) AS said
WHERE said.seq = records.seq;
ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER records_never_change;
DO $$
BEGIN
    FOR block IN 0 .. (SELECT seq FROM arx_audit.head) / 256 - 1 LOOP
        PERFORM arx_audit.grow(block);
    END LOOP;
END $$;

CREATE INDEX records_intent ON arx_audit.records (intent) WHERE intent IS NOT NULL;
CREATE INDEX records_agent ON arx_audit.records (agent_id, seq);
CREATE INDEX records_operation ON arx_audit.records (operation, seq);
CREATE INDEX records_status ON arx_audit.records (status, seq);
CREATE INDEX records_verdict ON arx_audit.records (verdict, seq);
CREATE INDEX records_action ON arx_audit.records (action_type, seq);
CREATE INDEX records_approval ON arx_audit.records (approval_id) WHERE approval_id IS NOT NULL;
CREATE INDEX records_reviewer ON arx_audit.records (reviewer, seq) WHERE reviewer IS NOT NULL;
CREATE INDEX records_targets ON arx_audit.records USING gin (targets) WHERE targets IS NOT NULL;
CREATE INDEX records_time ON arx_audit.records USING brin (created_at);
CREATE INDEX records_switches ON arx_audit.records (agent_id, seq)
    WHERE action_type IN ('agent.suspended', 'agent.resumed');
