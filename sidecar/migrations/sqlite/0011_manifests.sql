-- Every publication of a catalogue: the signed index. The one with the highest number is in force.
CREATE TABLE manifest_publications (
    number       INTEGER PRIMARY KEY, -- rises by one with each
    catalogue    TEXT    NOT NULL,
    version      INTEGER NOT NULL,    -- the catalogue's own, which only rises
    issued_at    INTEGER NOT NULL,    -- Unix seconds, as all times here
    expires_at   INTEGER NOT NULL,
    sha256       TEXT    NOT NULL,    -- of the index's signed bytes, hex
    key_id       TEXT    NOT NULL,
    envelope     BLOB    NOT NULL,    -- the index, as it was signed
    published_at INTEGER NOT NULL,
    published_by TEXT    NOT NULL,
    way          TEXT    NOT NULL,    -- publish, rollback, revoke
    ticket       TEXT,
    why          TEXT,
    UNIQUE (catalogue, version)
);

-- What each audience of a publication has.
CREATE TABLE manifest_documents (
    number      INTEGER NOT NULL REFERENCES manifest_publications (number),
    audience    TEXT    NOT NULL,
    sha256      TEXT    NOT NULL, -- of the signed bytes, hex
    envelope    BLOB    NOT NULL,
    marketplace BLOB,             -- marketplace.json, where it has one
    PRIMARY KEY (number, audience)
);

-- Plugins, by the SHA-256 of their archives. One that is listed here is there whole.
CREATE TABLE manifest_archives (
    sha256   TEXT    PRIMARY KEY,
    bytes    INTEGER NOT NULL,
    added_at INTEGER NOT NULL
);

CREATE TABLE manifest_archive_parts (
    sha256 TEXT    NOT NULL,
    part   INTEGER NOT NULL, -- from 0
    bytes  BLOB    NOT NULL,
    PRIMARY KEY (sha256, part)
);

-- What somebody was given last.
CREATE TABLE fleet_served (
    tenant_id    TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    client_id    TEXT    NOT NULL,
    catalogue    TEXT    NOT NULL,
    audience     TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    sha256       TEXT    NOT NULL,
    served_at    INTEGER NOT NULL,
    was_audience TEXT,    -- and before that
    was_version  INTEGER,
    PRIMARY KEY (tenant_id, user_id, client_id)
);

-- What laptops say of themselves. What a device wrote is in `report`, and nothing is decided by it.
CREATE TABLE fleet_devices (
    tenant_id   TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    device      TEXT    NOT NULL, -- 32 hex digits; empty: its system half has never run
    client_id   TEXT    NOT NULL,
    os          TEXT    NOT NULL,
    helper      TEXT    NOT NULL,
    result      TEXT    NOT NULL, -- applied, unchanged, stale, failed
    code        TEXT,             -- why it failed
    catalogue   TEXT,             -- what stands there; null: nothing yet
    audience    TEXT,
    version     INTEGER,
    sha256      TEXT,
    applied_at  INTEGER,
    synced_at   INTEGER NOT NULL, -- its last sync, by its own clock, never in the future
    reported_at INTEGER NOT NULL,
    report      TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, user_id, device)
);

CREATE INDEX fleet_devices_reported ON fleet_devices (reported_at);

-- When a laptop had which version: how fast a publication, and a revocation in it, arrives.
CREATE TABLE fleet_reached (
    tenant_id  TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    catalogue  TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, device, catalogue, version)
);

-- What was published stays known.
CREATE TRIGGER manifest_publications_no_update BEFORE UPDATE ON manifest_publications
BEGIN
    SELECT RAISE(ABORT, 'manifest_publications is append-only');
END;
CREATE TRIGGER manifest_publications_no_delete BEFORE DELETE ON manifest_publications
BEGIN
    SELECT RAISE(ABORT, 'manifest_publications is append-only');
END;
CREATE TRIGGER manifest_documents_no_update BEFORE UPDATE ON manifest_documents
BEGIN
    SELECT RAISE(ABORT, 'manifest_documents is append-only');
END;
CREATE TRIGGER manifest_documents_no_delete BEFORE DELETE ON manifest_documents
BEGIN
    SELECT RAISE(ABORT, 'manifest_documents is append-only');
END;
