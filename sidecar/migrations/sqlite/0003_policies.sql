-- Every policy that was published, in its signed envelope. The one with the highest number is in force.
CREATE TABLE policy_versions (
    number       INTEGER PRIMARY KEY, -- rises by one with each
    version      TEXT    NOT NULL,    -- names the signed bytes
    name         TEXT    NOT NULL,
    key_id       TEXT    NOT NULL,
    envelope     BLOB    NOT NULL,    -- as it was signed
    published_at INTEGER NOT NULL,    -- Unix seconds
    published_by TEXT    NOT NULL,
    way          TEXT    NOT NULL,    -- publish, rollback, file
    ticket       TEXT,
    why          TEXT
);

CREATE INDEX policy_versions_version ON policy_versions (version);

-- What was in force stays known.
CREATE TRIGGER policy_versions_no_update BEFORE UPDATE ON policy_versions
BEGIN
    SELECT RAISE(ABORT, 'policy_versions is append-only');
END;

CREATE TRIGGER policy_versions_no_delete BEFORE DELETE ON policy_versions
BEGIN
    SELECT RAISE(ABORT, 'policy_versions is append-only');
END;
