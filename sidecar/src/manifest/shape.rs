//! What may stand where in a catalogue as people write it.

use crate::policy::shape::{MAYBE_TEXTS, Member, Shape, TEXTS, TIERS, Unit, may, must};

const KINDS: &[&str] = &["plugin", "skill", "agent", "mcp_server"];
const INSTALLATIONS: &[&str] = &["available", "auto_install", "required"];
const WORDS: &[&str] = &["allow", "ask", "blocked"];
const TRANSPORTS: &[&str] = &["http", "sse", "stdio"];
const EXPIRIES: &[&str] = &["keep", "remove"];

const ID: Member = must("id", Shape::Text, "its name in clients");
const DESCRIPTION: Member = may("description", Shape::Text, "when it is of use, in a sentence");
const INSTRUCTIONS: Member = may("instructions", Shape::Text, "its text, or `path`");
const INSTALLATION: Member =
    may("installation", Shape::Word(INSTALLATIONS), "how clients offer it: available unless said");

/// A whole catalogue.
pub(crate) const CATALOGUE: &[Member] = &[
    must("schema", Shape::Text, "always tollgate.catalogue/v1"),
    must("name", Shape::Text, "the catalogue's name, which never changes"),
    may("owner", Shape::Text, "who keeps it, for people"),
    must("gateway", Shape::Text, "where laptops reach the gateway: https://HOST"),
    must("valid_for", Shape::Time(Unit::Seconds), "how long a publication holds, such as 14d"),
    may("on_expiry", Shape::Word(EXPIRIES), "what becomes of plugins then: keep unless said"),
    may("bundle", Shape::Struct(BUNDLE), "the plugin that brings skills and agents"),
    may("plugins", Shape::Any(&Shape::Struct(PLUGIN)), "folders of plugins"),
    may("skills", Shape::Any(&Shape::Struct(SKILL)), "instructions"),
    may("agents", Shape::Any(&Shape::Struct(AGENT)), "skills, a model and MCP servers"),
    may("mcp_servers", Shape::Any(&Shape::Struct(SERVER)), "the MCP servers that may be used"),
    must("audiences", Shape::List(&Shape::Struct(AUDIENCE)), "who gets what; the first that fits"),
    may("revocations", Shape::Any(&Shape::Struct(REVOCATION)), "what must be gone"),
];

const BUNDLE: &[Member] = &[
    may("name", Shape::Text, "its name: NAME-skills unless said"),
    may("installation", Shape::Word(INSTALLATIONS), "required unless said"),
];

const PLUGIN: &[Member] =
    &[must("path", Shape::Text, "its folder, below the catalogue's"), INSTALLATION];

const SKILL: &[Member] = &[
    ID,
    DESCRIPTION,
    INSTRUCTIONS,
    may("path", Shape::Text, "its SKILL.md, below the catalogue's folder"),
];

const AGENT: &[Member] = &[
    ID,
    must("description", Shape::Text, "when it is of use, in a sentence"),
    must("model", Shape::Text, "the model it works with"),
    may("skills", MAYBE_TEXTS, "ids of skills"),
    may("mcp_servers", MAYBE_TEXTS, "ids of MCP servers"),
    may("tools", MAYBE_TEXTS, "tools of the client besides those of its servers"),
    INSTRUCTIONS,
    may("path", Shape::Text, "a file of its instructions, below the catalogue's folder"),
];

const SERVER: &[Member] = &[
    ID,
    may("url", Shape::Text, "https://…; the gateway's /mcp/ID unless said"),
    may("transport", Shape::Word(TRANSPORTS), "http unless said; stdio with `command`"),
    may("command", Shape::Text, "what is started on the laptop, an absolute path"),
    may("args", MAYBE_TEXTS, "with these arguments"),
    may("tools", Shape::Table(&Shape::Word(WORDS)), "a tool (* for any run of characters): a word"),
];

const AUDIENCE: &[Member] = &[
    must("name", Shape::Text, "its name"),
    may("who", Shape::Struct(WHO), "who is of it; everyone unless said"),
    may("unless", Shape::Struct(WHO), "who is not"),
    may("includes", MAYBE_TEXTS, "audiences whose things it has too"),
    may("plugins", MAYBE_TEXTS, "names of plugins"),
    may("skills", MAYBE_TEXTS, "ids of skills"),
    may("agents", MAYBE_TEXTS, "ids of agents"),
    may("mcp_servers", MAYBE_TEXTS, "ids of MCP servers"),
];

/// What a laptop's token says of its person. What one call alone says (its agent, who set it off) decides no audience.
const WHO: &[Member] = &[
    may("tenants", TEXTS, "tenants"),
    may("groups", TEXTS, "groups of the directory"),
    may("departments", TEXTS, "departments"),
    may("users", TEXTS, "e-mail addresses"),
    may("populations", TEXTS, "regulatory populations"),
    may("roles", TEXTS, "operator roles"),
    may("clients", TEXTS, "client ids"),
    may("regions", TEXTS, "regions"),
    may("cost_centres", TEXTS, "cost centres"),
    may("tiers", Shape::List(&Shape::Word(TIERS)), "how they signed in"),
];

const REVOCATION: &[Member] = &[
    must("kind", Shape::Word(KINDS), "plugin, skill, agent or mcp_server"),
    ID,
    may("reason", Shape::Text, "why, for people"),
];
