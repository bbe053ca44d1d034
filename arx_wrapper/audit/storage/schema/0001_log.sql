-- The log: one chain of records, to which can only be added, whoever writes.
CREATE TABLE arx_audit.records (
    seq bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    hash text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    -- What queries go by, read from the record as it is added: nothing beside it can say anything else.
    created_at text COLLATE "C",
    prev_hash text COLLATE "C",
    org_id text COLLATE "C",
    agent_id text COLLATE "C",
    action_type text COLLATE "C",
    operation text COLLATE "C",
    verdict text COLLATE "C",
    status text COLLATE "C",
    intent text COLLATE "C"
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

-- PostgreSQL's text cannot hold the character NUL, which a record's JSON can.
CREATE FUNCTION arx_audit.read_record() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said record;
BEGIN
    SELECT * INTO said FROM json_to_record(replace(NEW.body, '\u0000', '\ufffd')::json) AS said(
        seq bigint, id text, created_at text, prev_hash text, org_id text, agent_id text, action_type text,
        operation text, policy_verdict text, status text, metadata json
    );
    IF (said.seq, said.id) IS DISTINCT FROM (NEW.seq, NEW.id) THEN
        RAISE EXCEPTION 'an audit record says itself which one it is' USING ERRCODE = 'integrity_constraint_violation';
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
    RETURN NEW;
END $$;
CREATE TRIGGER records_are_read BEFORE INSERT ON arx_audit.records
    FOR EACH ROW EXECUTE FUNCTION arx_audit.read_record();
ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER records_are_read;

-- Runs with its owner's rights: writers add records, and have no way to the head and the open intents but this.
CREATE FUNCTION arx_audit.follow_head() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
DECLARE
    last head%ROWTYPE;
    one record;
BEGIN
    SELECT * INTO last FROM head FOR UPDATE;
    FOR one IN SELECT * FROM added ORDER BY added.seq LOOP
        IF one.seq <> last.seq + 1 OR one.prev_hash IS DISTINCT FROM last.hash THEN
            RAISE EXCEPTION 'audit records follow the last one' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        last.seq := one.seq;
        last.hash := one.hash;
    END LOOP;
    UPDATE head SET seq = last.seq, hash = last.hash WHERE head.seq <> last.seq;
    INSERT INTO open_intents
        SELECT id, coalesce(nullif(current_setting('arx_audit.writer', true), '')::integer, 0)
        FROM added WHERE action_type = 'connector.called';
    DELETE FROM open_intents WHERE intent IN (SELECT added.intent FROM added);
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
