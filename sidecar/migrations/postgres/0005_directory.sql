-- Certificates that have signed in: lists of revoked ones name serials, gates know fingerprints.
CREATE TABLE certificates (
    sha256     TEXT   PRIMARY KEY, -- as cnf.x5t#S256 has it
    issuer     TEXT   NOT NULL, -- its name, as text
    serial     TEXT   NOT NULL, -- hex, lower case, no zeros before it
    subject    TEXT   NOT NULL,
    sub        TEXT   NOT NULL REFERENCES users (sub),
    not_after  BIGINT NOT NULL, -- Unix seconds, as all times below
    first_seen BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);

-- Tokens of workloads that may be exchanged only once, and were.
CREATE TABLE exchanged (
    id         TEXT   PRIMARY KEY, -- SHA-256 over issuer and jti
    expires_at BIGINT NOT NULL
);

CREATE INDEX exchanged_age ON exchanged (expires_at);

-- What directories call us with (SCIM), one tenant each. Only the SHA-256 of a token is kept.
CREATE TABLE scim_tokens (
    id           TEXT   PRIMARY KEY,
    hash         TEXT   NOT NULL UNIQUE,
    tenant_id    TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    last_used_at BIGINT
);

-- People as their directory has them (RFC 7643 §4.1). Who was deleted there stays, so that nobody lets them in.
CREATE TABLE scim_users (
    id          TEXT    PRIMARY KEY,
    tenant_id   TEXT    NOT NULL,
    sub         TEXT    NOT NULL REFERENCES users (sub),
    user_name   TEXT    NOT NULL, -- lower case, as it is compared
    external_id TEXT,
    email       TEXT    NOT NULL, -- lower case
    active      BOOLEAN NOT NULL,
    resource    TEXT    NOT NULL, -- JSON: what of the resource is kept
    version     BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    deleted_at  BIGINT
);

CREATE UNIQUE INDEX scim_users_name ON scim_users (tenant_id, user_name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX scim_users_sub ON scim_users (sub) WHERE deleted_at IS NULL;
CREATE INDEX scim_users_gone ON scim_users (sub);
CREATE INDEX scim_users_external ON scim_users (tenant_id, external_id);

-- Groups as their directory has them (RFC 7643 §4.2).
CREATE TABLE scim_groups (
    id          TEXT   PRIMARY KEY,
    tenant_id   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL, -- lower case, as it is compared
    external_id TEXT,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE UNIQUE INDEX scim_groups_name ON scim_groups (tenant_id, name_key);

CREATE TABLE scim_members (
    group_id TEXT NOT NULL REFERENCES scim_groups (id),
    user_id  TEXT NOT NULL REFERENCES scim_users (id),
    PRIMARY KEY (group_id, user_id)
);

CREATE INDEX scim_members_user ON scim_members (user_id);
