//! What may stand where in a policy as people write it.
//!
//! `contract::policy::Document` says the same for what is signed, but serde stops at the first fault
//! and knows no lines. A test holds the two together.

mod mcp;

pub use mcp::{ALSO, APPROVALS, CALLED, CONDITION, GATEWAY};

/// What may stand in one place.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text.
    Text,
    /// Text that is a decimal number: prices are not rounded on their way.
    Decimal,
    /// A whole number, from 0 on.
    Whole,
    /// `true` or `false`.
    Truth,
    /// A length of time, `10m` or `7y`, that is kept as a number of these.
    Time(Unit),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list that has something in it.
    List(&'static Self),
    /// A list that may be empty.
    Any(&'static Self),
    /// Names of the author's own → this.
    Table(&'static Self),
    /// Members.
    Struct(&'static [Member]),
    /// Text, or these members.
    TextOr(&'static [Member]),
    /// Whatever JSON has.
    Data,
}

/// What a length of time is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Days.
    Days,
}

/// A member of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub shape: Shape,
    /// Must it stand there?
    pub required: bool,
    /// What it is, for whoever left it out.
    pub says: &'static str,
    /// The member of the document that it becomes, where that is another.
    pub becomes: Option<&'static str>,
}

pub(crate) const fn must(name: &'static str, shape: Shape, says: &'static str) -> Member {
    Member { name, shape, required: true, says, becomes: None }
}

pub(crate) const fn may(name: &'static str, shape: Shape, says: &'static str) -> Member {
    Member { name, shape, required: false, says, becomes: None }
}

pub(crate) const TEXTS: Shape = Shape::List(&Shape::Text);
pub(crate) const MAYBE_TEXTS: Shape = Shape::Any(&Shape::Text);

/// Who set a call off.
pub const SOURCES: &[&str] = &["cowork", "subagent", "job"];
/// How somebody signed in.
pub const TIERS: &[&str] = &["pat", "session", "mtls", "service"];
const EFFECTS: &[&str] = &["allow", "deny"];
const CONTENT: &[&str] = &["none", "redacted", "full"];
const AUDIT: &[&str] = &["after", "before"];
const WORDS: &[&str] = &["allow", "ask", "approve", "blocked"];
const ACTIONS: &[&str] = &["flag", "deny"];
const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];

const ID: Member = must("id", Shape::Text, "the name that stands in the row of what it decided");
const LABELS: Member = may("labels", MAYBE_TEXTS, "words that routes can match on");
const SAY: Member = may("say", Shape::Text, "one line for the person who is refused");
const ABOUT: Member = may("who", Shape::Struct(WHO), "whom it is for");
const UNLESS: Member = may("unless", Shape::Struct(WHO), "whom of these it is not for");
const ACTION: Member = must("action", Shape::Word(ACTIONS), "what is done: flag or deny");
const SEVERITY: Member = may("severity", Shape::Word(SEVERITIES), "how bad it is");

/// A whole policy.
pub const POLICY: &[Member] = &[
    must("schema", Shape::Text, "always tollgate.policy/v1"),
    must("name", Shape::Text, "a name for people"),
    may("description", Shape::Text, "what it is for, in a sentence or two"),
    must("rules", Shape::List(&Shape::Struct(RULE)), "who may use which models"),
    may("tools", Shape::Any(&Shape::Struct(TOOL_RULE)), "what becomes of tools"),
    may("servers", Shape::Any(&Shape::Struct(SERVER_RULE)), "MCP servers"),
    may("approvals", Shape::Struct(APPROVALS), "who approves of calls whose word is approve"),
    may(
        "sign_in",
        Shape::Any(&Shape::Struct(SIGN_IN_RULE)),
        "which ways of signing in are accepted",
    ),
    may("residency", Shape::Any(&Shape::Struct(RESIDENCY_RULE)), "who may not leave which zone"),
    may("secrets", Shape::Any(&Shape::Struct(SECRET_RULE)), "secrets that are looked for"),
    may("blocklists", Shape::Any(&Shape::Struct(BLOCKLIST)), "words that are looked for"),
    may("patterns", Shape::Any(&Shape::Struct(PATTERN)), "patterns of secrets of your own"),
    may("models", Shape::Any(&Shape::Struct(OFFERED)), "the models that are offered"),
    may("break_glass", Shape::Struct(BREAK_GLASS), "who may pass which rules in an emergency"),
    may("standing", Shape::Struct(STANDING), "what holds when news of who is stopped stays out"),
    may("rates", Shape::Struct(SHEET), "negotiated prices"),
];

/// A set of callers.
pub const WHO: &[Member] = &[
    may("tenants", TEXTS, "tenants"),
    may("groups", TEXTS, "groups of the directory"),
    may("departments", TEXTS, "departments"),
    may("users", TEXTS, "e-mail addresses"),
    may("populations", TEXTS, "regulatory populations"),
    may("roles", TEXTS, "operator roles"),
    may("clients", TEXTS, "client ids"),
    may("agents", TEXTS, "agents"),
    may("regions", TEXTS, "regions"),
    may("sources", Shape::List(&Shape::Word(SOURCES)), "who set the call off"),
    may("cost_centres", TEXTS, "cost centres"),
    may("tiers", Shape::List(&Shape::Word(TIERS)), "how they signed in"),
];

/// A rule over models.
pub const RULE: &[Member] = &[
    ID,
    ABOUT,
    UNLESS,
    must("models", TEXTS, "the models it is about, * for any run of characters"),
    may("effect", Shape::Word(EFFECTS), "allow unless said"),
    may("content", Shape::Word(CONTENT), "what a row keeps of what was said"),
    may("audit", Shape::Word(AUDIT), "when a call is stored"),
    LABELS,
    SAY,
];

/// A rule over tools.
pub const TOOL_RULE: &[Member] = &[
    ID,
    ABOUT,
    UNLESS,
    must(
        "tools",
        Shape::Table(&Shape::Word(WORDS)),
        "a name (* for any run of characters): a word",
    ),
    may(
        "arguments",
        Shape::Table(&Shape::Struct(CONDITION)),
        "what the arguments must be, by JSON Pointer",
    ),
    LABELS,
    SAY,
];

/// An MCP server.
pub const SERVER_RULE: &[Member] = &[
    ID,
    ABOUT,
    UNLESS,
    may("url", Shape::Text, "https://HOST/PATH, or a folder with /* at its end"),
    may("gateway", Shape::Struct(GATEWAY), "what of it can be had at /mcp/ID"),
];

/// Which ways of signing in are accepted from a cohort.
pub const SIGN_IN_RULE: &[Member] = &[
    ID,
    ABOUT,
    UNLESS,
    must(
        "tiers",
        Shape::List(&Shape::Word(TIERS)),
        "what is accepted: mtls, session, pat, service",
    ),
    may("bound", Shape::Truth, "must calls come over the certificate of their token?"),
    SAY,
];

/// Who may not leave which zone.
pub const RESIDENCY_RULE: &[Member] =
    &[ID, ABOUT, UNLESS, must("zone", Shape::Text, "the zone, such as eu")];

/// A rule over secrets.
pub const SECRET_RULE: &[Member] = &[
    ID,
    ABOUT,
    UNLESS,
    must("patterns", TEXTS, "ids of patterns, * for any run of characters"),
    may("except", MAYBE_TEXTS, "those of them that are not meant"),
    ACTION,
    SEVERITY,
    LABELS,
    SAY,
];

/// A list of words.
pub const BLOCKLIST: &[Member] =
    &[ID, ABOUT, UNLESS, must("words", TEXTS, "words and phrases"), ACTION, SEVERITY, LABELS, SAY];

/// A pattern of one's own.
pub const PATTERN: &[Member] = &[
    must("id", Shape::Text, "a name that no shipped pattern has"),
    must("anchors", TEXTS, "letters of which one stands in whatever it matches"),
    must("pattern", Shape::Text, "a regular expression"),
];

/// A model that is offered.
pub const OFFERED: &[Member] = &[
    must("id", Shape::Text, "what clients ask for"),
    may("display_name", Shape::Text, "what people read"),
    may("created_at", Shape::Text, "a time, 2026-11-21T00:00:00Z"),
];

/// Break-glass.
pub const BREAK_GLASS: &[Member] = &[
    must("roles", TEXTS, "the roles that break it"),
    must("passes", TEXTS, "ids of the rules that then do not deny"),
    must("keep_days", Shape::Whole, "how long its rows are kept: a number of days, or `keep: 7y`"),
    Member {
        becomes: Some("keep_days"),
        ..may("keep", Shape::Time(Unit::Days), "how long its rows are kept, such as 7y")
    },
];

/// How old news may be.
pub const STANDING: &[Member] = &[
    must("max_age_seconds", Shape::Whole, "a number of seconds, or `max_age: 10m`"),
    Member {
        becomes: Some("max_age_seconds"),
        ..may("max_age", Shape::Time(Unit::Seconds), "how old news may be, such as 10m")
    },
];

/// Prices.
pub const SHEET: &[Member] = &[
    must("as_of", Shape::Text, "the day they were agreed, 2026-11-21"),
    must("source", Shape::Text, "where they are from"),
    may("rates", Shape::Any(&Shape::Struct(SHEET_LINE)), "prices of tokens"),
    may(
        "web_search",
        Shape::Table(&Shape::Decimal),
        "dollars for a thousand searches, by provider",
    ),
];

/// A line of prices.
pub const SHEET_LINE: &[Member] = &[
    must("provider", Shape::Text, "whose prices they are"),
    must("models", TEXTS, "models, * for any run of characters"),
    may("input", Shape::Decimal, "dollars for a million tokens"),
    may("output", Shape::Decimal, "dollars for a million tokens"),
    may("cache_write_5m", Shape::Decimal, "dollars for a million tokens"),
    may("cache_write_1h", Shape::Decimal, "dollars for a million tokens"),
    may("cache_read", Shape::Decimal, "dollars for a million tokens"),
    may("regions", Shape::Table(&Shape::Decimal), "factors of regions"),
    may("discount", Shape::Decimal, "what is taken off: 0.15 leaves 85 of 100"),
];

/// A file of cases.
pub const CASES: &[Member] = &[
    must("schema", Shape::Text, "always tollgate.policy-cases/v1"),
    may("people", Shape::Table(&Shape::Struct(SOMEBODY)), "callers, by names for `who`"),
    must("cases", Shape::List(&Shape::Struct(CASE)), "who asks what, and what is expected"),
];

/// One case.
pub const CASE: &[Member] = &[
    must("name", Shape::Text, "what it shows, in a sentence"),
    may("who", Shape::TextOr(SOMEBODY), "a name of `people`, or a caller"),
    must("asks", Shape::Struct(ASKS), "what is asked for"),
    must("expects", Shape::Struct(EXPECTS), "what the policy must say"),
];

/// A caller.
pub const SOMEBODY: &[Member] = &[
    may("tenant", Shape::Text, "claim tenant_id"),
    may("user", Shape::Text, "e-mail address"),
    may("groups", MAYBE_TEXTS, "groups"),
    may("department", Shape::Text, "department"),
    may("roles", MAYBE_TEXTS, "roles"),
    may("populations", MAYBE_TEXTS, "populations"),
    may("client", Shape::Text, "client id"),
    may("agent", Shape::Text, "agent"),
    may("region", Shape::Text, "region"),
    may("source", Shape::Word(SOURCES), "who set the call off"),
    may("cost_centre", Shape::Text, "cost centre"),
    may("tier", Shape::Word(TIERS), "how they signed in; session unless said"),
    may("over_certificate", Shape::Truth, "does the call come over the certificate of its token?"),
];

/// What is asked for.
pub const ASKS: &[Member] = &[
    may("model", Shape::Text, "a model; or `mcp`"),
    may("mcp", Shape::Struct(CALLED), "a call of an MCP server at the gate, instead of a model"),
    may("beside", MAYBE_TEXTS, "models that the provider is to call beside it"),
    may("tools", Shape::Any(&Shape::TextOr(TOOL)), "tools: names, or { type, name }"),
    may("servers", Shape::Any(&Shape::Struct(SERVER)), "remote MCP servers"),
    may("skills", Shape::Any(&Shape::Struct(SKILL)), "skills of a container"),
    may("text", Shape::Text, "what is said"),
];

const TOOL: &[Member] = &[
    may("type", Shape::Text, "the type of a tool of the provider's"),
    may("name", Shape::Text, "its name"),
];

const SERVER: &[Member] = &[
    must("url", Shape::Text, "its address"),
    may("name", Shape::Text, "what the request calls it"),
    may("tools", MAYBE_TEXTS, "the tools of it that are to be had; absent: all"),
];

const SKILL: &[Member] =
    &[must("type", Shape::Text, "anthropic or custom"), must("id", Shape::Text, "its id")];

/// Why a call is denied, in the words of the refusals' codes.
pub const WHYS: &[&str] = &[
    "model_not_allowed",
    "model_denied",
    "model_unknown",
    "tool_blocked",
    "approval_required",
    "server_not_managed",
    "skill_blocked",
    "secret_found",
    "word_blocked",
    "tier_not_accepted",
    "certificate_required",
];

/// What is expected.
pub const EXPECTS: &[Member] = &[
    must("verdict", Shape::Word(&["allowed", "denied"]), "allowed or denied"),
    may("rule", Shape::Text, "the rule that decides"),
    may("why", Shape::Word(WHYS), "why it is denied"),
    may("content", Shape::Word(CONTENT), "what the row keeps"),
    may("audit", Shape::Word(AUDIT), "when the call is stored"),
    may("labels", MAYBE_TEXTS, "all words for routes"),
    may("noted", MAYBE_TEXTS, "rules that have something noted"),
    may("passed", MAYBE_TEXTS, "rules passed by breaking the glass"),
    may("findings", MAYBE_TEXTS, "rules over secrets and words that found something"),
];

#[cfg(test)]
pub(crate) mod tests;
