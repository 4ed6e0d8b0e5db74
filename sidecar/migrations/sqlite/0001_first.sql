-- The row that every exchange leaves. Columns and their order: contract/src/audit.rs.
--
-- The key has two members, as it must have where the table is parted by time. Whatever an id may
-- turn out to be worth, no exchange can keep another one's row out.
CREATE TABLE audit_events (
    place              INTEGER PRIMARY KEY, -- rises with each row stored
    writer             TEXT    NOT NULL, -- who stored it: the key that signs its chain
    digest             BLOB    NOT NULL, -- SHA-256 of the row (sidecar/src/store/row.rs)
    event_id           TEXT    NOT NULL,
    occurred_at        TEXT    NOT NULL, -- RFC 3339, UTC, microseconds: sorts as it is
    tenant_id          TEXT    NOT NULL,
    user_id            TEXT    NOT NULL,
    session_id         TEXT,
    trace_id           TEXT,
    client_id          TEXT,
    policy_ver         TEXT,
    bundle_ver         TEXT,
    call_source        TEXT,
    kind               TEXT    NOT NULL,
    model              TEXT,
    provider           TEXT,
    upstream_region    TEXT,
    department         TEXT,
    agent_id           TEXT,
    tokens_in          INTEGER,
    tokens_out         INTEGER,
    tokens_cache_write INTEGER,
    tokens_cache_read  INTEGER,
    cost_micro         INTEGER,
    latency_ms         INTEGER,
    gate_ms            REAL,
    first_token_ms     INTEGER,
    status             INTEGER,
    outcome            TEXT    NOT NULL,
    rule_id            TEXT,
    credential_id      TEXT,
    request_id         TEXT,
    parent_event_id    TEXT,
    complete           INTEGER NOT NULL,
    payload            TEXT    NOT NULL,
    UNIQUE (occurred_at, event_id) -- the time first: ids are random, and each would land on another page
);

CREATE INDEX audit_events_tenant ON audit_events (tenant_id, occurred_at DESC);
CREATE INDEX audit_events_trace ON audit_events (trace_id);
CREATE INDEX audit_events_user ON audit_events (user_id, occurred_at DESC);

-- Append-only, but for one thing: content may be erased, and its digest stays.
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
WHEN NEW.payload IS NOT json_remove(OLD.payload, '$.content')
    OR (NEW.place, NEW.writer, NEW.digest, NEW.event_id, NEW.occurred_at, NEW.tenant_id,
        NEW.user_id, NEW.session_id, NEW.trace_id, NEW.client_id, NEW.policy_ver, NEW.bundle_ver,
        NEW.call_source, NEW.kind, NEW.model, NEW.provider, NEW.upstream_region, NEW.department,
        NEW.agent_id, NEW.tokens_in, NEW.tokens_out, NEW.tokens_cache_write, NEW.tokens_cache_read,
        NEW.cost_micro, NEW.latency_ms, NEW.gate_ms, NEW.first_token_ms, NEW.status, NEW.outcome,
        NEW.rule_id, NEW.credential_id, NEW.request_id, NEW.parent_event_id, NEW.complete)
    IS NOT (OLD.place, OLD.writer, OLD.digest, OLD.event_id, OLD.occurred_at, OLD.tenant_id,
        OLD.user_id, OLD.session_id, OLD.trace_id, OLD.client_id, OLD.policy_ver, OLD.bundle_ver,
        OLD.call_source, OLD.kind, OLD.model, OLD.provider, OLD.upstream_region, OLD.department,
        OLD.agent_id, OLD.tokens_in, OLD.tokens_out, OLD.tokens_cache_write, OLD.tokens_cache_read,
        OLD.cost_micro, OLD.latency_ms, OLD.gate_ms, OLD.first_token_ms, OLD.status, OLD.outcome,
        OLD.rule_id, OLD.credential_id, OLD.request_id, OLD.parent_event_id, OLD.complete)
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

-- Where each writer's chain ends (sidecar/src/store/chain.rs).
CREATE TABLE audit_writers (
    writer TEXT   PRIMARY KEY,
    place  BIGINT NOT NULL, -- of its last row
    block  BIGINT NOT NULL, -- its last one
    rows   BIGINT NOT NULL, -- in all
    hash   BLOB   NOT NULL  -- of its last block
);

-- The chain: one block for each transaction that stored rows.
CREATE TABLE audit_blocks (
    writer    TEXT   NOT NULL,
    number    BIGINT NOT NULL,
    first     BIGINT NOT NULL, -- places
    last      BIGINT NOT NULL,
    rows      BIGINT NOT NULL,
    hash      BLOB   NOT NULL,
    signature BLOB   NOT NULL,
    PRIMARY KEY (writer, number)
);

-- Calls that the gate told before they left, and that have not ended yet.
CREATE TABLE audit_intents (
    event_id  TEXT   PRIMARY KEY,
    writer    TEXT   NOT NULL, -- the sidecar that was told
    stored_at BIGINT NOT NULL, -- Unix microseconds, as all times below
    boot      BIGINT NOT NULL,
    vm        BIGINT NOT NULL,
    n         BIGINT NOT NULL,
    event     TEXT   NOT NULL  -- the record as it was then, JSON
);

-- Which numbers of each sequence are stored, and what its VM last told of itself.
CREATE TABLE audit_sequences (
    boot     BIGINT NOT NULL,
    vm       BIGINT NOT NULL,
    stored   TEXT   NOT NULL, -- ranges, JSON: [[1,500],[502,510]]
    highest  BIGINT NOT NULL, -- given out
    open     TEXT   NOT NULL, -- of exchanges that have not ended, JSON
    heard_at BIGINT NOT NULL, -- 0 for never
    PRIMARY KEY (boot, vm)
);

-- Which call emitted which tool_use: the lineage is found with it. Forgotten after some days.
CREATE TABLE audit_tool_uses (
    tool_use_id TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    occurred_at BIGINT NOT NULL,
    user_id     TEXT   NOT NULL,
    session_id  TEXT   NOT NULL,
    agent_id    TEXT   NOT NULL, -- empty for the main loop
    trace_id    TEXT,
    name        TEXT   NOT NULL,
    answered_at BIGINT,
    PRIMARY KEY (tool_use_id, event_id)
);

CREATE INDEX audit_tool_uses_session ON audit_tool_uses (session_id, occurred_at);
CREATE INDEX audit_tool_uses_age ON audit_tool_uses (occurred_at);

-- Agents that have called: the first call of each hangs on the tool_use that started it.
CREATE TABLE audit_agents (
    session_id  TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    agent_id    TEXT   NOT NULL,
    event_id    TEXT   NOT NULL, -- its first call
    occurred_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, user_id, agent_id)
);

-- Calls whose parent has no row yet.
CREATE TABLE audit_waiting (
    tool_use_id TEXT   NOT NULL, -- the one answered; empty for an agent's first call
    event_id    TEXT   NOT NULL,
    occurred_at BIGINT NOT NULL,
    user_id     TEXT   NOT NULL,
    session_id  TEXT   NOT NULL,
    trace_id    TEXT,
    parent_agent_id TEXT NOT NULL, -- empty for the main loop
    PRIMARY KEY (tool_use_id, event_id)
);

CREATE INDEX audit_waiting_session ON audit_waiting (session_id);

-- Parents found later than their children were stored.
CREATE TABLE audit_links (
    event_id        TEXT   PRIMARY KEY,
    parent_event_id TEXT   NOT NULL,
    trace_id        TEXT,            -- the parent's
    own_trace_id    TEXT,            -- what the row has
    found_at        BIGINT NOT NULL
);

CREATE INDEX audit_links_trace ON audit_links (trace_id);

-- The rows with their parents, whenever these were found.
CREATE VIEW audit_lineage AS
SELECT COALESCE(l.trace_id, e.trace_id) AS trace_id,
    COALESCE(e.parent_event_id, l.parent_event_id) AS parent_event_id,
    e.trace_id AS own_trace_id, e.event_id, e.occurred_at, e.tenant_id, e.user_id, e.session_id, e.agent_id, e.call_source,
    e.kind, e.model, e.provider, e.policy_ver, e.bundle_ver, e.tokens_in, e.tokens_out,
    e.tokens_cache_write, e.tokens_cache_read, e.cost_micro, e.latency_ms, e.status, e.outcome,
    e.rule_id, e.complete, e.payload
FROM audit_events e LEFT JOIN audit_links l ON l.event_id = e.event_id;

-- How far each sink of the SIEM was sent the rows of each writer.
CREATE TABLE siem_cursors (
    sink   TEXT   NOT NULL,
    writer TEXT   NOT NULL,
    place  BIGINT NOT NULL,
    PRIMARY KEY (sink, writer)
);

-- How far the spool has been read. Moves in the transaction that stores the rows.
CREATE TABLE spool_marks (
    path       TEXT    PRIMARY KEY,
    generation INTEGER NOT NULL, -- rises when the file is rotated or truncated
    file       TEXT    NOT NULL, -- device and inode
    position   INTEGER NOT NULL
);

CREATE TABLE users (
    sub         TEXT    PRIMARY KEY,
    user_id     TEXT    NOT NULL UNIQUE, -- verified e-mail, lower case
    name        TEXT,
    tenant_id   TEXT    NOT NULL,
    department  TEXT,
    cost_centre TEXT,
    groups      TEXT    NOT NULL, -- JSON arrays
    roles       TEXT    NOT NULL,
    populations TEXT    NOT NULL,
    region      TEXT,
    created_at  INTEGER NOT NULL, -- Unix seconds, as all times below
    disabled_at INTEGER
);

-- Personal access tokens. Only the SHA-256 of a token is kept.
CREATE TABLE pats (
    id           TEXT    PRIMARY KEY,
    hash         TEXT    NOT NULL UNIQUE,
    sub          TEXT    NOT NULL REFERENCES users (sub),
    cohort       TEXT,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    last_used_at INTEGER
);

-- What was minted from them and may still be in use: how long a revocation has to be told.
CREATE TABLE tokens (
    jti           TEXT    PRIMARY KEY,
    credential_id TEXT    NOT NULL,
    sub           TEXT    NOT NULL,
    expires_at    INTEGER NOT NULL
);

CREATE INDEX tokens_credential ON tokens (credential_id, expires_at);
CREATE INDEX tokens_sub ON tokens (sub, expires_at);

-- Who is stopped.
CREATE TABLE standing (
    kind  TEXT    NOT NULL,
    id    TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE standing_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);

INSERT INTO standing_version (id, version) VALUES (1, 1);
