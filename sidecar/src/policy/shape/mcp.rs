//! What may stand where of MCP servers that are reached through the gate.

use super::{AUDIT, CONTENT, Member, Shape, TEXTS, Unit, WHO, WORDS, may, must};

/// What is closed unless a server's entry opens it.
pub const ALSO: &[&str] = &["completion", "sampling", "elicitation", "roots", "logging", "tasks"];

/// What an argument must be.
pub const CONDITION: &[Member] = &[
    may("over", Shape::Whole, "a number over this one"),
    may("under", Shape::Whole, "a number under this one"),
    may("like", TEXTS, "one of these, * for any run of characters"),
    may("unlike", TEXTS, "none of these"),
];

/// What of a server can be had through the gate.
pub const GATEWAY: &[Member] = &[
    may("title", Shape::Text, "what people read"),
    may(
        "tools",
        Shape::Table(&Shape::Word(WORDS)),
        "a tool's name (* for any run of characters): a word",
    ),
    may(
        "otherwise",
        Shape::Word(WORDS),
        "the word for tools that nothing names; blocked unless said",
    ),
    may(
        "resources",
        Shape::Table(&Shape::Word(WORDS)),
        "a resource's address: allow, ask or blocked",
    ),
    may("prompts", Shape::Table(&Shape::Word(WORDS)), "a prompt's name: allow, ask or blocked"),
    may("also", Shape::Any(&Shape::Word(ALSO)), "what else of the protocol is open"),
    may("pins", Shape::Table(&Shape::Text), "a tool's name: the SHA-256 of its definition"),
    may("largest_result", Shape::Whole, "the largest result that passes, bytes"),
    may(
        "denied_as",
        Shape::Word(&["error", "result"]),
        "how a denied call is answered; error unless said",
    ),
    may("content", Shape::Word(CONTENT), "what a row keeps of arguments and results"),
    may("audit", Shape::Word(AUDIT), "when a call is stored"),
];

/// A call of an MCP server at the gate.
pub const CALLED: &[Member] = &[
    must("server", Shape::Text, "its id"),
    may("tool", Shape::Text, "a tool that is called"),
    may("arguments", Shape::Data, "what it is called with; nothing unless said"),
    may("resource", Shape::Text, "the address of a resource that is read"),
    may("prompt", Shape::Text, "a prompt that is fetched"),
];

/// Who approves.
pub const APPROVALS: &[Member] = &[
    must("approvers", Shape::Struct(WHO), "who may"),
    must(
        "wait_seconds",
        Shape::Whole,
        "how long an agent waits: a number of seconds, or `wait: 5m`",
    ),
    Member {
        becomes: Some("wait_seconds"),
        ..may("wait", Shape::Time(Unit::Seconds), "how long an agent waits, such as 5m")
    },
    must(
        "valid_seconds",
        Shape::Whole,
        "how long an approval holds: a number of seconds, or `valid: 10m`",
    ),
    Member {
        becomes: Some("valid_seconds"),
        ..may("valid", Shape::Time(Unit::Seconds), "how long an approval holds, such as 10m")
    },
];
