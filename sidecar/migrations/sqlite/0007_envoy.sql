-- What happened to the files of each gateway's Envoy: an edit that was put in force, and when the files, or what Envoy
-- serves, were found to be something else (drift) and to agree again.
CREATE TABLE envoy_changes (
    gateway    TEXT    NOT NULL, -- the writer of the gateway's rows
    number     INTEGER NOT NULL, -- rises by one with each
    changed_at INTEGER NOT NULL, -- Unix seconds
    changed_by TEXT    NOT NULL,
    way        TEXT    NOT NULL, -- apply, adopt, drift, agrees
    ticket     TEXT,
    why        TEXT,
    changes    TEXT    NOT NULL, -- JSON: a line for each resource that changed
    files      TEXT    NOT NULL, -- JSON: the digest of each file afterwards
    PRIMARY KEY (gateway, number)
);

-- What was in force stays known.
CREATE TRIGGER envoy_changes_no_update BEFORE UPDATE ON envoy_changes
BEGIN
    SELECT RAISE(ABORT, 'envoy_changes is append-only');
END;

CREATE TRIGGER envoy_changes_no_delete BEFORE DELETE ON envoy_changes
BEGIN
    SELECT RAISE(ABORT, 'envoy_changes is append-only');
END;
