-- What somebody's agent asked a person to approve: exactly one call, once, for its time.
CREATE TABLE approvals (
    id                 TEXT    PRIMARY KEY, -- apr_<24 hex>
    digest             TEXT    NOT NULL,    -- SHA-256, hex: tenant, user, session, server, tool, arguments
    tenant_id          TEXT    NOT NULL,
    user_id            TEXT    NOT NULL,    -- who asks
    session_id         TEXT    NOT NULL,    -- `sid` of the token
    server             TEXT    NOT NULL,
    tool               TEXT    NOT NULL,
    arguments          TEXT    NOT NULL,    -- canonical JSON (RFC 8785)
    reason             TEXT    NOT NULL,    -- what the agent says
    trace_id           TEXT,
    requested_event_id TEXT    NOT NULL,    -- the row of the call that asked
    asked_at           BIGINT  NOT NULL,    -- Unix seconds, as all times here
    valid_seconds      BIGINT  NOT NULL,    -- how long a decision holds
    state              TEXT    NOT NULL,    -- open, approved, denied, used, lapsed
    until              BIGINT  NOT NULL,    -- open: may be decided; approved: may be used; denied: is not asked again
    decided_at         BIGINT ,
    decided_by         TEXT,
    note               TEXT,
    used_at            BIGINT ,
    used_event_id      TEXT                 -- the row of the call that it let through
);

-- One live request for one call: who asks again gets the same, and nothing is approved twice at once.
CREATE UNIQUE INDEX approvals_live ON approvals (digest) WHERE state IN ('open', 'approved', 'denied');
CREATE INDEX approvals_user ON approvals (tenant_id, user_id, asked_at);
CREATE INDEX approvals_requested ON approvals (requested_event_id);
CREATE INDEX approvals_used ON approvals (used_event_id);

-- What channels are to be told. The sidecar that takes one moves next_at on first.
CREATE TABLE approval_messages (
    approval_id TEXT    NOT NULL REFERENCES approvals (id),
    webhook     TEXT    NOT NULL, -- its name in the file of `serve --approvals`
    what        TEXT    NOT NULL, -- asked, decided
    attempts    BIGINT  NOT NULL DEFAULT 0,
    next_at     BIGINT ,          -- Unix seconds; null: told, or given up
    told_at     BIGINT ,
    problem     TEXT,             -- why the last attempt failed
    PRIMARY KEY (approval_id, webhook, what)
);

CREATE INDEX approval_messages_due ON approval_messages (next_at) WHERE next_at IS NOT NULL;

-- What was decided stays so, and nothing of it is removed.
CREATE FUNCTION approvals_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'approvals are kept';
    END IF;
    IF (NEW.id, NEW.digest, NEW.arguments, NEW.tenant_id, NEW.user_id, NEW.server, NEW.tool, NEW.requested_event_id)
        IS DISTINCT FROM
       (OLD.id, OLD.digest, OLD.arguments, OLD.tenant_id, OLD.user_id, OLD.server, OLD.tool, OLD.requested_event_id)
        OR (OLD.decided_at IS NOT NULL
            AND (NEW.decided_by, NEW.decided_at) IS DISTINCT FROM (OLD.decided_by, OLD.decided_at))
        OR OLD.used_at IS NOT NULL
    THEN
        RAISE EXCEPTION 'what was asked and decided stays as it is';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER approvals_no_edit BEFORE UPDATE OR DELETE ON approvals
    FOR EACH ROW EXECUTE FUNCTION approvals_guard();
CREATE TRIGGER approvals_no_truncate BEFORE TRUNCATE ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION approvals_guard();
