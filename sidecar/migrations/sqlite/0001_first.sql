-- The row that every exchange leaves. Columns and their order: contract/src/audit.rs.
--
-- The key has two members, as it must have where the table is parted by time. Whatever an id may
-- turn out to be worth, no exchange can keep another one's row out.
CREATE TABLE audit_events (
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
    PRIMARY KEY (event_id, occurred_at)
);

CREATE INDEX audit_events_tenant ON audit_events (tenant_id, occurred_at DESC);
CREATE INDEX audit_events_trace ON audit_events (trace_id);
CREATE INDEX audit_events_user ON audit_events (user_id, occurred_at DESC);

CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

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
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL
);

INSERT INTO standing_version (only, version) VALUES (1, 1);
