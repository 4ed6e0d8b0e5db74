-- Whom a provider vouches for: one account there is one account here, whatever its address becomes.
ALTER TABLE users ADD COLUMN provider TEXT; -- its name in the configuration; null for who was added by hand
ALTER TABLE users ADD COLUMN subject TEXT;  -- `sub` there

CREATE UNIQUE INDEX users_subject ON users (provider, subject);

-- Sessions, from the provider's answer on. Secrets are kept as their SHA-256, what the provider gave is sealed.
CREATE TABLE sessions (
    id             TEXT    PRIMARY KEY, -- ses_<12 hex>
    sub            TEXT    NOT NULL REFERENCES users (sub),
    provider       TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    redirect_uri   TEXT    NOT NULL, -- the program on the person's computer that began it
    challenge      TEXT    NOT NULL, -- and its proof (RFC 7636)
    code_hash      TEXT    UNIQUE,   -- from the person's approval on
    code_until     BIGINT,
    code_used_at   BIGINT,
    provider_grant TEXT,             -- the provider's refresh token, sealed; null if it gave none
    created_at     BIGINT NOT NULL, -- Unix seconds, as all times here
    confirmed_at   BIGINT NOT NULL, -- when the provider last vouched
    signed_in_at   BIGINT,          -- when the code was traded
    used_at        BIGINT,
    expires_at     BIGINT NOT NULL,
    ended_at       BIGINT,
    ended_why      TEXT,
    busy_by        TEXT,             -- the refresh that talks to the provider now, on whichever sidecar
    busy_until     BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX sessions_sub ON sessions (sub, created_at);
CREATE INDEX sessions_age ON sessions (expires_at);

-- Every secret that a session has had: one that was replaced and comes again is in two hands.
CREATE TABLE session_secrets (
    hash        TEXT    PRIMARY KEY,
    session_id  TEXT    NOT NULL REFERENCES sessions (id),
    created_at  BIGINT NOT NULL,
    replaced_at BIGINT
);

CREATE INDEX session_secrets_session ON session_secrets (session_id);
