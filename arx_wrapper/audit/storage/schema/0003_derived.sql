-- What follows from the records is written by the records' own trigger alone, or read from them: suspensions, uses that
-- limits count, open intents, sealed segments that retention can remove, and the tiles of the Merkle tree (C2SP
-- tlog-tiles). Besides, the rate limit of a key that many processes share.
ALTER TABLE arx_audit.records
    ADD COLUMN approval_id text COLLATE "C",
    ADD COLUMN reviewer text COLLATE "C",
    ADD COLUMN targets text[] COLLATE "C",
    ADD COLUMN counted json;

CREATE TABLE arx_audit.tiles (
    level integer, number bigint, hashes bytea NOT NULL, PRIMARY KEY (level, number)
);

-- Runs of settled records, each as the record of its sealing says.
CREATE TABLE arx_audit.segments (
    first bigint PRIMARY KEY, last bigint NOT NULL UNIQUE, last_hash text COLLATE "C" NOT NULL,
    newest text COLLATE "C" NOT NULL, file text COLLATE "C" NOT NULL, tree text COLLATE "C" NOT NULL,
    removed boolean NOT NULL DEFAULT false
);

-- An open intent belongs to an organisation, which alone can answer it, and to a role, whose session holds its lock.
ALTER TABLE arx_audit.open_intents ADD COLUMN org_id text COLLATE "C", ADD COLUMN role oid;
UPDATE arx_audit.open_intents SET org_id = records.org_id FROM arx_audit.records WHERE records.id = open_intents.intent;
ALTER TABLE arx_audit.open_intents ENABLE ROW LEVEL SECURITY;
CREATE POLICY ones_organisations ON arx_audit.open_intents
    USING (org_id IN (SELECT access.org_id FROM arx_audit.access) OR '*' IN (SELECT access.org_id FROM arx_audit.access));

DELETE FROM arx_audit.usage WHERE n <= 0;
ALTER TABLE arx_audit.usage ADD CONSTRAINT uses_are_positive CHECK (n > 0);
-- A running total: a limit costs the same whatever its window holds.
ALTER TABLE arx_audit.usage ADD COLUMN upto bigint;
UPDATE arx_audit.usage SET upto = summed.upto FROM (
    SELECT usage.org_id, usage.agent_id, usage.operation, usage.at, usage.seq,
           sum(n) OVER (PARTITION BY usage.org_id, usage.agent_id, usage.operation ORDER BY at, seq) AS upto
    FROM arx_audit.usage
) AS summed
WHERE (usage.org_id, usage.agent_id, usage.operation, usage.at, usage.seq)
    = (summed.org_id, summed.agent_id, summed.operation, summed.at, summed.seq);
ALTER TABLE arx_audit.usage ALTER COLUMN upto SET NOT NULL, ALTER COLUMN at DROP DEFAULT;
CREATE INDEX usage_time ON arx_audit.usage USING brin (at);

DROP FUNCTION arx_audit.suspend(text, text);
DROP TABLE arx_audit.suspended;

-- The right to record that an agent is suspended or goes on.
CREATE FUNCTION arx_audit.may_suspend() RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;

-- The right to seal records and to remove what was sealed. Only the owner has it.
CREATE FUNCTION arx_audit.may_retain() RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;

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
    IF said.action_type IN ('log.sealed', 'log.removed')
        AND NOT has_function_privilege('arx_audit.may_retain()', 'EXECUTE') THEN
        RAISE EXCEPTION 'only the owner seals and removes records' USING ERRCODE = 'insufficient_privilege';
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

-- The leaf hashes of a block: those that retention left of removed records, and those of the records that are there.
CREATE FUNCTION arx_audit.leaves(block bigint, until bigint) RETURNS bytea
    LANGUAGE plpgsql SET search_path = arx_audit, pg_temp AS $$
DECLARE
    kept bytea := coalesce((SELECT hashes FROM tiles WHERE level = 0 AND number = block), ''::bytea);
BEGIN
    RETURN kept || coalesce((
        SELECT string_agg(sha256('\x00'::bytea || convert_to(body, 'UTF8')), ''::bytea ORDER BY seq)
        FROM records WHERE seq BETWEEN block * 256 + length(kept) / 32 + 1 AND until
    ), ''::bytea);
END $$;

-- Store the tiles that are complete with the 256th record of a block.
CREATE FUNCTION arx_audit.grow(block bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = arx_audit, pg_temp AS $$
DECLARE
    depth integer := 0;
    place bigint := block;
    row bytea := leaves(block, (block + 1) * 256);
BEGIN
    INSERT INTO tiles VALUES (0, block, row)
        ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes;
    LOOP
        EXIT WHEN length(row) < 8192;
        INSERT INTO tiles VALUES (depth + 1, place / 256, subtree(row))
            ON CONFLICT (level, number) DO UPDATE SET hashes = tiles.hashes || excluded.hashes;
        depth := depth + 1;
        place := place / 256;
        SELECT tiles.hashes INTO row FROM tiles WHERE tiles.level = depth AND tiles.number = place;
    END LOOP;
END $$;

-- Do what a record of a sealing or a removal says, once it is in the log.
CREATE FUNCTION arx_audit.keep_segment(action text, said json, newest text) RETURNS void
    LANGUAGE plpgsql SET search_path = arx_audit, pg_temp AS $$
DECLARE
    begins bigint := (said ->> 'first')::bigint;
    ends bigint := (said ->> 'last')::bigint;
BEGIN
    IF action = 'log.sealed' THEN
        IF begins <> (SELECT coalesce(max(last), 0) + 1 FROM segments) OR ends < begins
            OR said ->> 'last_hash' IS DISTINCT FROM (SELECT hash FROM records WHERE seq = ends)
            OR EXISTS (SELECT FROM open_intents JOIN records ON id = open_intents.intent WHERE seq <= ends) THEN
            RAISE EXCEPTION 'these records cannot be sealed' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        INSERT INTO segments (first, last, last_hash, newest, file, tree)
            SELECT begins, ends, said ->> 'last_hash', records.created_at, said ->> 'file', said ->> 'tree'
            FROM records WHERE seq = ends;
        RETURN;
    END IF;
    UPDATE segments SET removed = true WHERE first = begins AND last = ends AND last_hash = said ->> 'last_hash'
        AND NOT removed AND NOT EXISTS (SELECT FROM segments AS older WHERE older.first < begins AND NOT older.removed);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such segment' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF ends % 256 <> 0 AND ends > (SELECT head.seq / 256 * 256 FROM head) THEN  -- its block is not full yet
        INSERT INTO tiles VALUES (0, ends / 256, leaves(ends / 256, ends))
            ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes;
    END IF;
    DELETE FROM records WHERE seq BETWEEN begins AND ends;
END $$;

-- A record goes only with its segment, after a record of the removal.
CREATE FUNCTION arx_audit.keep_records() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM gone WHERE NOT EXISTS (
        SELECT FROM segments WHERE segments.removed AND gone.seq BETWEEN segments.first AND segments.last
    )) THEN
        RAISE EXCEPTION 'audit records are never changed or removed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
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
    FOR one IN SELECT added.seq, added.hash, added.prev_hash FROM added ORDER BY added.seq LOOP
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
    -- By the server's clock, which may jump back: in the order of the records all the same.
    INSERT INTO usage (org_id, agent_id, operation, at, seq, n, upto)
        SELECT uses.org_id, uses.agent_id, uses.operation, greatest(statement_timestamp(), before.at), uses.seq, uses.n,
               coalesce(before.upto, 0)
               + sum(uses.n) OVER (PARTITION BY uses.org_id, uses.agent_id, uses.operation ORDER BY uses.seq)
        FROM (
            SELECT added.org_id, added.agent_id, counted.key AS operation, added.seq, counted.value::integer AS n
            FROM added, json_each_text(added.counted) AS counted WHERE json_typeof(added.counted) = 'object'
        ) AS uses LEFT JOIN LATERAL (
            SELECT usage.at, usage.upto FROM usage
            WHERE (usage.org_id, usage.agent_id, usage.operation) = (uses.org_id, uses.agent_id, uses.operation)
            ORDER BY usage.at DESC, usage.seq DESC LIMIT 1
        ) AS before ON true;
    FOR block IN begun / 256 .. last.seq / 256 - 1 LOOP
        PERFORM grow(block);
    END LOOP;
    FOR one IN SELECT action_type, readable(body) -> 'metadata' AS said, created_at FROM added
        WHERE action_type IN ('log.sealed', 'log.removed') ORDER BY added.seq LOOP
        PERFORM keep_segment(one.action_type, one.said, one.created_at);
    END LOOP;
    RETURN NULL;
END $$;

-- Wait for the turn to write, until the transaction ends: the chain's end, which of these agents are suspended, and the
-- server's process, which is another one when a pooler gives every transaction a session of its own. Suspensions whose
-- records retention removed are in the record of the last sealing.
DROP FUNCTION arx_audit.take_turn(text[]);
CREATE FUNCTION arx_audit.take_turn(
    agents text[], OUT seq bigint, OUT hash text, OUT reasons json, OUT backend integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
BEGIN
    SELECT head.seq, head.hash INTO take_turn.seq, take_turn.hash FROM head FOR UPDATE;
    reasons := '{}';
    IF cardinality(agents) > 0 THEN
        SELECT coalesce(json_object_agg(agent, why) FILTER (WHERE why IS NOT NULL), '{}') INTO reasons FROM (
            SELECT agent, CASE
                WHEN last.action_type = 'agent.suspended' THEN last.reason
                WHEN last.action_type IS NULL AND EXISTS (SELECT FROM segments WHERE removed) THEN (
                    SELECT readable(body) #> '{metadata,suspended}' ->> agent FROM records
                    WHERE action_type = 'log.sealed' ORDER BY records.seq DESC LIMIT 1
                ) END AS why
            FROM unnest(agents) AS agent LEFT JOIN LATERAL (
                SELECT action_type, coalesce(readable(body) ->> 'reason', '') AS reason FROM records
                WHERE agent_id = agent AND action_type IN ('agent.suspended', 'agent.resumed')
                ORDER BY records.seq DESC LIMIT 1
            ) AS last ON true
        ) AS found;
    END IF;
    backend := pg_backend_pid();
END $$;

-- What is used of limits: of organisation, agent and operation in so many seconds each. Runs with the caller's rights,
-- so that it counts no other organisation's calls; `turn` is there so that it is asked after the lock is held.
CREATE FUNCTION arx_audit.used(turn bigint, orgs text[], agents text[], operations text[], seconds double precision[])
    RETURNS bigint[] LANGUAGE plpgsql SET search_path = arx_audit, pg_temp AS $$
DECLARE
    now timestamptz := clock_timestamp();
    counts bigint[] := '{}';
    latest bigint;
    before bigint;
BEGIN
    FOR i IN 1 .. cardinality(orgs) LOOP
        SELECT upto INTO latest FROM usage
            WHERE org_id = orgs[i] AND agent_id = agents[i] AND operation = operations[i]
            ORDER BY at DESC, seq DESC LIMIT 1;
        SELECT upto - n INTO before FROM usage
            WHERE org_id = orgs[i] AND agent_id = agents[i] AND operation = operations[i]
                AND at > now - seconds[i] * interval '1 second'
            ORDER BY at, seq LIMIT 1;
        counts := counts || coalesce(latest - before, 0);
    END LOOP;
    RETURN counts;
END $$;

-- The rate limit of one key, as the API's responses tell it, and what its processes have leased. Not logged: after a
-- crash of the server it is learnt anew.
CREATE UNLOGGED TABLE arx_audit.rates (
    subject text COLLATE "C" PRIMARY KEY,  -- a keyed hash of address and account
    allowed integer,                       -- calls in a window; 0: no limit; null: not known yet
    seconds double precision NOT NULL DEFAULT 0,
    turn bigint NOT NULL DEFAULT 1,        -- the window's number
    ends timestamptz,
    assumed boolean NOT NULL DEFAULT true, -- no response of this window has told its end yet
    mixed boolean NOT NULL DEFAULT false,  -- others used the key in the window before
    probing timestamptz,                   -- until when the one call that is to tell the limit is waited for
    given integer NOT NULL DEFAULT 0,      -- calls leased in this window, sent or not
    elsewhere integer NOT NULL DEFAULT 0   -- calls of this window that nobody leased
);
CREATE UNLOGGED TABLE arx_audit.rate_leases (
    subject text COLLATE "C", holder text COLLATE "C", held integer NOT NULL, wanted integer NOT NULL,
    until timestamptz NOT NULL, PRIMARY KEY (subject, holder)
);

-- Lease calls of a rate limit; take back what has expired.
CREATE FUNCTION arx_audit.lease_rate(
    limited text, asker text, wants integer, keeps integer, spent integer, during bigint,
    seen_limit integer, seen_left integer, seen_seconds double precision, seen_ends double precision,
    lease_seconds double precision,
    OUT turn bigint, OUT calls integer, OUT allowed integer, OUT lasts double precision, OUT retry double precision
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
DECLARE
    rate rates%ROWTYPE;
    now timestamptz;
    free integer;
    until timestamptz;
BEGIN
    INSERT INTO rates (subject) VALUES (limited) ON CONFLICT DO NOTHING;
    SELECT * INTO rate FROM rates WHERE subject = limited FOR UPDATE;
    now := clock_timestamp();
    IF rate.ends <= now THEN
        rate.turn := rate.turn + 1;
        rate.ends := now + rate.seconds * interval '1 second';
        rate.mixed := rate.elsewhere > 0;
        rate.assumed := true;
        rate.given := 0;
        rate.elsewhere := 0;
        UPDATE rate_leases SET held = 0 WHERE subject = limited;
    END IF;
    IF during = rate.turn THEN
        rate.given := rate.given + greatest(keeps, 0) + greatest(spent, 0)
            - coalesce((SELECT held FROM rate_leases WHERE subject = limited AND holder = asker), 0);
        IF seen_limit > 0 THEN
            rate.allowed := seen_limit;
            rate.seconds := greatest(rate.seconds, seen_seconds, 1);  -- the API tells whole seconds
            until := now + seen_ends * interval '1 second';
            rate.ends := CASE WHEN rate.assumed THEN until ELSE least(rate.ends, until) END;
            rate.assumed := false;
        ELSIF seen_limit = 0 AND rate.allowed IS NULL THEN
            rate.allowed := 0;
        END IF;
    ELSE
        keeps := 0;
    END IF;
    WITH gone AS (
        DELETE FROM rate_leases WHERE subject = limited AND holder <> asker AND rate_leases.until <= now RETURNING held
    )
    SELECT rate.given - coalesce(sum(held), 0) INTO rate.given FROM gone;
    IF during = rate.turn AND seen_limit > 0 THEN
        rate.elsewhere := greatest(rate.elsewhere, seen_limit - seen_left - rate.given);
    END IF;
    IF rate.allowed = 0 THEN
        calls := wants;
    ELSIF rate.allowed IS NULL THEN  -- one call goes, and its response tells
        calls := CASE WHEN rate.probing > now THEN 0 ELSE least(wants, 1) END;
        IF calls > 0 THEN
            rate.probing := now + interval '1 second';
        END IF;
    ELSE
        free := rate.allowed - rate.given - rate.elsewhere;
        IF rate.mixed AND rate.assumed THEN  -- a few, until a response tells what others have used of this window
            free := least(free, 8 - rate.given);
        END IF;
        calls := greatest(0, least(wants, ceil(free / (1.0 + (
            SELECT count(*) FROM rate_leases
            WHERE subject = limited AND holder <> asker AND wanted > 0 AND rate_leases.until > now
        )))));
    END IF;
    until := least(now + lease_seconds * interval '1 second', rate.ends);
    lasts := extract(epoch FROM until - now);
    retry := CASE WHEN rate.allowed IS NULL OR (rate.mixed AND rate.assumed) THEN 0.05 ELSE coalesce(extract(epoch FROM
        least(rate.ends, (
            SELECT min(rate_leases.until) FROM rate_leases WHERE subject = limited AND holder <> asker AND held > 0
        )) - now), 1) END;
    INSERT INTO rate_leases VALUES (limited, asker, keeps + calls, wants - calls, now + lease_seconds * interval '1 second')
        ON CONFLICT (subject, holder) DO UPDATE
        SET held = excluded.held, wanted = excluded.wanted, until = excluded.until;
    UPDATE rates SET allowed = rate.allowed, seconds = rate.seconds, turn = rate.turn, ends = rate.ends,
        assumed = rate.assumed, mixed = rate.mixed, probing = rate.probing, given = rate.given + calls,
        elsewhere = rate.elsewhere WHERE subject = limited;
    turn := rate.turn;
    allowed := rate.allowed;
END $$;

-- The records about an id that the session's role may read: row-level security keeps the index from being asked directly.
CREATE FUNCTION arx_audit.about(target text) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = arx_audit, pg_temp AS $$
DECLARE
    own text[] := ARRAY(
        SELECT access.org_id FROM access
        WHERE role IN (SELECT rolname FROM pg_roles WHERE pg_has_role(session_user, oid, 'USAGE'))
    );
BEGIN
    RETURN QUERY SELECT seq FROM records
        WHERE targets @> ARRAY[target] COLLATE "C" AND ('*' = ANY (own) OR records.org_id = ANY (own));
END $$;

CREATE OR REPLACE FUNCTION arx_audit.admit(role name, org text, duty text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF duty IS NULL OR duty NOT IN ('auditor', 'connector', 'operator') THEN
        RAISE EXCEPTION 'a role is granted access as auditor, connector or operator, not as %', duty;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA arx_audit TO %I', role);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA arx_audit FROM %I', role);
    EXECUTE format('GRANT SELECT ON arx_audit.records, arx_audit.head, arx_audit.open_intents, arx_audit.access, '
                   'arx_audit.versions, arx_audit.tiles, arx_audit.usage, arx_audit.segments TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.sees_all, arx_audit.claim_key, arx_audit.readable, '
                   'arx_audit.about TO %I', role);
    IF duty <> 'auditor' THEN
        EXECUTE format('GRANT INSERT (seq, id, hash, body) ON arx_audit.records TO %I', role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.take_turn, arx_audit.forget_usage, arx_audit.used, '
                       'arx_audit.lease_rate TO %I', role);
    END IF;
    IF duty = 'operator' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.may_suspend TO %I', role);
    END IF;
    INSERT INTO arx_audit.access VALUES (role, org) ON CONFLICT DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION arx_audit.may_suspend, arx_audit.may_retain, arx_audit.readable, arx_audit.subtree,
    arx_audit.leaves, arx_audit.grow, arx_audit.keep_segment, arx_audit.keep_records, arx_audit.take_turn, arx_audit.used,
    arx_audit.lease_rate, arx_audit.about FROM PUBLIC;

-- Roles that have access already keep it, as what they were.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT DISTINCT access.role FROM arx_audit.access JOIN pg_roles ON rolname = access.role LOOP
        EXECUTE format('REVOKE INSERT ON arx_audit.usage FROM %I', one.role);
        EXECUTE format('REVOKE ALL ON SEQUENCE arx_audit.writers FROM %I', one.role);
        EXECUTE format('GRANT SELECT ON arx_audit.tiles, arx_audit.usage, arx_audit.segments TO %I', one.role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.readable, arx_audit.about TO %I', one.role);
        IF has_column_privilege(one.role, 'arx_audit.records', 'body', 'INSERT') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION arx_audit.take_turn, arx_audit.used, arx_audit.lease_rate TO %I',
                           one.role);
        END IF;
    END LOOP;
END $$;
DROP SEQUENCE arx_audit.writers;

-- The new columns of the records that are there, and their tiles.
DROP TRIGGER records_never_change ON arx_audit.records;
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
CREATE TRIGGER records_never_change BEFORE UPDATE OR TRUNCATE ON arx_audit.records
    FOR EACH STATEMENT EXECUTE FUNCTION arx_audit.refuse_change();
ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER records_never_change;
CREATE TRIGGER records_stay AFTER DELETE ON arx_audit.records REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION arx_audit.keep_records();
ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER records_stay;
DO $$
BEGIN
    FOR block IN 0 .. (SELECT seq FROM arx_audit.head) / 256 - 1 LOOP
        PERFORM arx_audit.grow(block);
    END LOOP;
END $$;

CREATE INDEX records_intent ON arx_audit.records (intent) WHERE intent IS NOT NULL;
CREATE INDEX records_organisation ON arx_audit.records (org_id, operation, seq);
CREATE INDEX records_agent ON arx_audit.records (agent_id, seq);
CREATE INDEX records_operation ON arx_audit.records (operation, seq);
CREATE INDEX records_status ON arx_audit.records (status, seq);
CREATE INDEX records_verdict ON arx_audit.records (verdict, seq);
CREATE INDEX records_action ON arx_audit.records (action_type, seq);
CREATE INDEX records_approval ON arx_audit.records (approval_id) WHERE approval_id IS NOT NULL;
CREATE INDEX records_reviewer ON arx_audit.records (reviewer, seq) WHERE reviewer IS NOT NULL;
CREATE INDEX records_targets ON arx_audit.records USING gin (targets) WHERE targets IS NOT NULL;
CREATE INDEX records_time ON arx_audit.records (created_at);
CREATE INDEX records_switches ON arx_audit.records (agent_id, seq)
    WHERE action_type IN ('agent.suspended', 'agent.resumed');
-- Which records hold a policy's text.
CREATE INDEX records_policies ON arx_audit.records ((arx_audit.readable(body) #>> '{metadata,digest}'))
    WHERE action_type = 'policy.loaded';
