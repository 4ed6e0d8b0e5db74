-- Every publication of a catalogue: the signed index. The one with the highest number is in force.
CREATE TABLE manifest_publications (
    number       BIGINT PRIMARY KEY, -- rises by one with each
    catalogue    TEXT    NOT NULL,
    version      BIGINT  NOT NULL,    -- the catalogue's own, which only rises
    issued_at    BIGINT  NOT NULL,    -- Unix seconds, as all times here
    expires_at   BIGINT  NOT NULL,
    sha256       TEXT    NOT NULL,    -- of the index's signed bytes, hex
    key_id       TEXT    NOT NULL,
    envelope     BYTEA   NOT NULL,    -- the index, as it was signed
    published_at BIGINT  NOT NULL,
    published_by TEXT    NOT NULL,
    way          TEXT    NOT NULL,    -- publish, rollback, revoke
    ticket       TEXT,
    why          TEXT,
    UNIQUE (catalogue, version)
);

-- What each audience of a publication has.
CREATE TABLE manifest_documents (
    number      BIGINT  NOT NULL REFERENCES manifest_publications (number),
    audience    TEXT    NOT NULL,
    sha256      TEXT    NOT NULL, -- of the signed bytes, hex
    envelope    BYTEA   NOT NULL,
    marketplace BYTEA,             -- marketplace.json, where it has one
    PRIMARY KEY (number, audience)
);

-- Plugins, by the SHA-256 of their archives. One that is listed here is there whole.
CREATE TABLE manifest_archives (
    sha256   TEXT    PRIMARY KEY,
    bytes    BIGINT  NOT NULL,
    added_at BIGINT  NOT NULL
);

CREATE TABLE manifest_archive_parts (
    sha256 TEXT    NOT NULL,
    part   BIGINT  NOT NULL, -- from 0
    bytes  BYTEA   NOT NULL,
    PRIMARY KEY (sha256, part)
);

-- What somebody was given last.
CREATE TABLE fleet_served (
    tenant_id    TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    client_id    TEXT    NOT NULL,
    catalogue    TEXT    NOT NULL,
    audience     TEXT    NOT NULL,
    version      BIGINT  NOT NULL,
    sha256       TEXT    NOT NULL,
    served_at    BIGINT  NOT NULL,
    was_audience TEXT,    -- and before that
    was_version  BIGINT,
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
    version     BIGINT,
    sha256      TEXT,
    applied_at  BIGINT,
    synced_at   BIGINT  NOT NULL, -- its last sync, by its own clock, never in the future
    reported_at BIGINT  NOT NULL,
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
    version    BIGINT  NOT NULL,
    applied_at BIGINT  NOT NULL,
    PRIMARY KEY (tenant_id, user_id, device, catalogue, version)
);

-- What was published stays known.
CREATE FUNCTION manifests_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER manifest_publications_no_change BEFORE UPDATE OR DELETE ON manifest_publications
    FOR EACH ROW EXECUTE FUNCTION manifests_guard();
CREATE TRIGGER manifest_publications_no_truncate BEFORE TRUNCATE ON manifest_publications
    FOR EACH STATEMENT EXECUTE FUNCTION manifests_guard();
CREATE TRIGGER manifest_documents_no_change BEFORE UPDATE OR DELETE ON manifest_documents
    FOR EACH ROW EXECUTE FUNCTION manifests_guard();
CREATE TRIGGER manifest_documents_no_truncate BEFORE TRUNCATE ON manifest_documents
    FOR EACH STATEMENT EXECUTE FUNCTION manifests_guard();
