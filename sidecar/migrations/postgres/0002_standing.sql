-- A token's session and certificate: either can be stopped.
ALTER TABLE tokens ADD COLUMN sid TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN cert TEXT NOT NULL DEFAULT ''; -- as cnf.x5t#S256 has it; empty for none

CREATE INDEX tokens_session ON tokens (sid, expires_at);

-- What operators have laid on whom. It holds at sign-in while it is here; gates are told of it while there
-- are tokens that it could stop.
CREATE TABLE standing_now (
    kind       TEXT    NOT NULL, -- user, session, token, credential, cert
    id         TEXT    NOT NULL,
    effect     TEXT    NOT NULL, -- revoked, paused, throttled
    per_minute BIGINT,             -- of a throttle
    ends_at    BIGINT,             -- by itself; null for never
    told       BOOLEAN NOT NULL, -- are gates told?
    told_until BIGINT NOT NULL, -- no token that it could stop lives longer
    set_at     BIGINT NOT NULL,
    set_by     TEXT    NOT NULL,
    why        TEXT    NOT NULL,
    PRIMARY KEY (kind, id, effect)
);

INSERT INTO standing_now (kind, id, effect, told, told_until, set_at, set_by, why)
SELECT kind, id, 'revoked', TRUE, until, 0, '', '' FROM standing;

-- Who is disabled without a token in use was not in the table.
INSERT INTO standing_now (kind, id, effect, told, told_until, set_at, set_by, why)
SELECT 'user', user_id, 'revoked', FALSE, 0, disabled_at, '', 'user disable' FROM users
WHERE disabled_at IS NOT NULL
ON CONFLICT (kind, id, effect) DO NOTHING;

DROP TABLE standing;

ALTER TABLE standing_now RENAME TO standing;

UPDATE standing_version SET version = version + 1;
