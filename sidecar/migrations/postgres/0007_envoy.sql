-- What happened to the files of each gateway's Envoy: an edit that was put in force, and when the files, or what Envoy
-- serves, were found to be something else (drift) and to agree again.
CREATE TABLE envoy_changes (
    gateway    TEXT   NOT NULL, -- the writer of the gateway's rows
    number     BIGINT NOT NULL, -- rises by one with each
    changed_at BIGINT NOT NULL, -- Unix seconds
    changed_by TEXT   NOT NULL,
    way        TEXT   NOT NULL, -- apply, adopt, drift, agrees
    ticket     TEXT,
    why        TEXT,
    changes    TEXT   NOT NULL, -- JSON: a line for each resource that changed
    files      TEXT   NOT NULL, -- JSON: the digest of each file afterwards
    PRIMARY KEY (gateway, number)
);

-- What was in force stays known.
CREATE FUNCTION envoy_changes_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'envoy_changes is append-only';
END
$$;

CREATE TRIGGER envoy_changes_no_change BEFORE UPDATE OR DELETE ON envoy_changes
    FOR EACH ROW EXECUTE FUNCTION envoy_changes_guard();
CREATE TRIGGER envoy_changes_no_truncate BEFORE TRUNCATE ON envoy_changes
    FOR EACH STATEMENT EXECUTE FUNCTION envoy_changes_guard();
