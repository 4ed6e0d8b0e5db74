-- Calls of MCP servers follow from the tool_use that asked for them: they carry no id of it, but its input.
ALTER TABLE audit_tool_uses ADD COLUMN input_sha256 TEXT; -- of tools of MCP servers alone
ALTER TABLE audit_tool_uses ADD COLUMN taken_by TEXT;     -- the first call that followed from it

CREATE INDEX audit_tool_uses_input ON audit_tool_uses (user_id, input_sha256, occurred_at) WHERE input_sha256 IS NOT NULL;

-- Calls of MCP servers whose parent has no row yet.
CREATE TABLE audit_waiting_mcp (
    event_id         TEXT   PRIMARY KEY,
    occurred_at      INTEGER NOT NULL, -- Unix microseconds
    user_id          TEXT   NOT NULL,
    session_id       TEXT   NOT NULL, -- the client's own word; empty if it had none
    trace_id         TEXT,
    server           TEXT   NOT NULL, -- both as they stand in the name of a tool_use
    tool             TEXT   NOT NULL,
    arguments_sha256 TEXT   NOT NULL
);

CREATE INDEX audit_waiting_mcp_arguments ON audit_waiting_mcp (user_id, arguments_sha256, occurred_at);
CREATE INDEX audit_waiting_mcp_age ON audit_waiting_mcp (occurred_at);
