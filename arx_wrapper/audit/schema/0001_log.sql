-- The log: one chain of records, to which can only be added, whoever writes.
-- PostgreSQL's text cannot hold the character NUL, which a record's JSON can.
CREATE FUNCTION arx_audit.said(body text) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN replace(body, '\u0000', '\ufffd')::json;

-- What queries go by is computed from the record, so that nothing beside it can say anything else.
CREATE TABLE arx_audit.records (
    seq bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    hash text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'created_at') STORED,
    org_id text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'org_id') STORED,
    agent_id text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'agent_id') STORED,
    action_type text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'action_type') STORED,
    operation text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'operation') STORED,
    verdict text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'policy_verdict') STORED,
    status text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) ->> 'status') STORED,
    intent text COLLATE "C" GENERATED ALWAYS AS (arx_audit.said(body) #>> '{metadata,intent}') STORED
);

-- The chain's end. Whoever holds its row is the one who writes. `key_mark` tells the log's key from any other.
CREATE TABLE arx_audit.head (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seq bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    key_mark text COLLATE "C"
);
INSERT INTO arx_audit.head (seq, hash) VALUES (0, repeat('0', 64));

-- Intents without an outcome, each with its writer: a number that its session holds an advisory lock on.
CREATE TABLE arx_audit.open_intents (intent text COLLATE "C" PRIMARY KEY, writer integer NOT NULL);
CREATE SEQUENCE arx_audit.writers AS integer CYCLE;

-- What counts against limits, by the server's clock: hosts' clocks differ.
CREATE TABLE arx_audit.usage (
    org_id text COLLATE "C",
    agent_id text COLLATE "C",
    operation text COLLATE "C",
    at timestamptz DEFAULT clock_timestamp(),
    seq bigint,
    n integer NOT NULL,
    PRIMARY KEY (org_id, agent_id, operation, at, seq)
);
CREATE TABLE arx_audit.suspended (agent_id text COLLATE "C" PRIMARY KEY, reason text NOT NULL);

CREATE FUNCTION arx_audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit records are never changed or removed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER records_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON arx_audit.records
    FOR EACH STATEMENT EXECUTE FUNCTION arx_audit.refuse_change();
ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER records_never_change;

-- Runs with its owner's rights: writers add records, and have no way to the head and the open intents but this.
CREATE FUNCTION arx_audit.follow_head() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
DECLARE
    last head%ROWTYPE;
    stray bigint;
BEGIN
    SELECT * INTO last FROM head FOR UPDATE;
    SELECT min(placed.seq) INTO stray FROM (
        SELECT added.seq,
               lag(added.seq, 1, last.seq) OVER place + 1 = added.seq
                   AND lag(added.hash, 1, last.hash) OVER place = record.prev_hash
                   AND (record.seq, record.id) = (added.seq, added.id) AS follows
        FROM added, json_to_record(said(body)) AS record(id text, seq bigint, prev_hash text)
        WINDOW place AS (ORDER BY added.seq)
    ) AS placed WHERE follows IS NOT TRUE;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'audit records follow the last one' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE head SET (seq, hash) = (SELECT added.seq, added.hash FROM added ORDER BY added.seq DESC LIMIT 1)
        WHERE EXISTS (SELECT FROM added);
    INSERT INTO open_intents
        SELECT id, coalesce(nullif(current_setting('arx_audit.writer', true), '')::integer, 0)
        FROM added WHERE action_type = 'connector.called';
    DELETE FROM open_intents USING added WHERE open_intents.intent = added.intent;
    RETURN NULL;
END $$;
CREATE TRIGGER records_follow_head AFTER INSERT ON arx_audit.records REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION arx_audit.follow_head();
ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER records_follow_head;

-- Wait for the turn to write, until the transaction ends: the chain's end, and which of these agents are suspended.
CREATE FUNCTION arx_audit.take_turn(agents text[], OUT seq bigint, OUT hash text, OUT reasons json)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
BEGIN
    SELECT head.seq, head.hash INTO take_turn.seq, take_turn.hash FROM head FOR UPDATE;
    SELECT coalesce(json_object_agg(agent_id, reason), '{}') INTO reasons
        FROM suspended WHERE agent_id = ANY (agents);
END $$;

-- The mark of the log's key; the first key that is shown becomes it.
CREATE FUNCTION arx_audit.claim_key(mark text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
BEGIN
    UPDATE head SET key_mark = mark WHERE key_mark IS NULL;
    RETURN (SELECT key_mark FROM head);
END $$;

-- No limit looks back further than a day.
CREATE FUNCTION arx_audit.forget_usage() RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
    DELETE FROM usage WHERE at < clock_timestamp() - interval '1 day'
$$;

-- Suspend an agent, or resume it when there is no reason.
CREATE FUNCTION arx_audit.suspend(agent text, why text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
    DELETE FROM suspended WHERE agent_id = agent AND why IS NULL;
    INSERT INTO suspended SELECT agent, why WHERE why IS NOT NULL
        ON CONFLICT (agent_id) DO UPDATE SET reason = excluded.reason;
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA arx_audit FROM PUBLIC;
