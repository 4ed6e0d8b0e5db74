-- Every policy that was published, in its signed envelope. The one with the highest number is in force.
CREATE TABLE policy_versions (
    number       BIGINT PRIMARY KEY, -- rises by one with each
    version      TEXT   NOT NULL,    -- names the signed bytes
    name         TEXT   NOT NULL,
    key_id       TEXT   NOT NULL,
    envelope     BYTEA  NOT NULL,    -- as it was signed
    published_at BIGINT NOT NULL,    -- Unix seconds
    published_by TEXT   NOT NULL,
    way          TEXT   NOT NULL,    -- publish, rollback, file
    ticket       TEXT,
    why          TEXT
);

CREATE INDEX policy_versions_version ON policy_versions (version);

-- What was in force stays known.
CREATE FUNCTION policy_versions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'policy_versions is append-only';
END
$$;

CREATE TRIGGER policy_versions_no_change BEFORE UPDATE OR DELETE ON policy_versions
    FOR EACH ROW EXECUTE FUNCTION policy_versions_guard();
CREATE TRIGGER policy_versions_no_truncate BEFORE TRUNCATE ON policy_versions
    FOR EACH STATEMENT EXECUTE FUNCTION policy_versions_guard();
