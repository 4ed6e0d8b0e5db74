-- What gateways of one installation must have in common and nobody else may know: the key that sessions of MCP
-- servers are sealed with. Made once, by whichever sidecar is first.
CREATE TABLE gate_secrets (
    name    TEXT   NOT NULL PRIMARY KEY,
    value   TEXT   NOT NULL, -- base64url
    made_at BIGINT NOT NULL  -- Unix seconds
);
