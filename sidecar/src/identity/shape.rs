//! What may stand where in the file. The types of [`super`] say the same for serde, which stops at the first fault
//! and knows no lines; a test holds the two together.

use super::check::ROLES;
use crate::policy::shape::{MAYBE_TEXTS, Member, Shape, TEXTS, Unit, may, must};

const URL: &str = "https://gateway.example.com, where people reach the gateway";
const FROM: &[&str] = &["claim", "userinfo", "lookup", "directory"];
const NAMED_BY: &[&str] = &["email", "uri", "dns", "cn"];
const TABLE: Shape = Shape::Table(&Shape::Text);
const SPAN: Shape = Shape::Time(Unit::Seconds);

/// The whole file.
pub const IDENTITY: &[Member] = &[
    must("schema", Shape::Text, "always tollgate.identity/v1"),
    may("public_url", Shape::Text, URL),
    may("providers", Shape::Any(&Shape::Struct(PROVIDER)), "OpenID providers"),
    may("sessions", Shape::Struct(SESSIONS), "how long sessions last"),
    may("certificates", Shape::Struct(CERTIFICATES), "device certificates"),
    may("workloads", Shape::Any(&Shape::Struct(WORKLOAD)), "jobs"),
    may("operators", Shape::Any(&Shape::Struct(OPERATOR)), "who may operate"),
    may("attempts", Shape::Struct(ATTEMPTS), "how guessing is slowed"),
];

/// An `OpenID` provider.
pub const PROVIDER: &[Member] = &[
    must("id", Shape::Text, "its name here, which stands in rows"),
    must("issuer", Shape::Text, "its issuer, as its discovery document has it"),
    may("title", Shape::Text, "what people choose by"),
    must("client_id", Shape::Text, "this gateway's name there"),
    may("client_secret", Shape::Struct(SECRET), "where this gateway's secret is"),
    may("ca", Shape::Text, "a file with its authority, PEM"),
    must("tenant", Shape::Text, "the tenant of everybody who signs in there"),
    may("scopes", MAYBE_TEXTS, "what is asked for"),
    may("parameters", TABLE, "what else the request to sign in says"),
    must("domains", TEXTS, "the e-mail domains that it may speak for"),
    may("groups", MAYBE_TEXTS, "groups whose members may sign in"),
    may("email_verified", Shape::Truth, "must it say email_verified?"),
    may("claims", Shape::Struct(CLAIMS), "where each fact stands"),
];

/// Where a secret is.
pub const SECRET: &[Member] = &[
    may("file", Shape::Text, "a file that only its owner can read"),
    may("env", Shape::Text, "an environment variable"),
];

/// Where each fact stands.
pub const CLAIMS: &[Member] = &[
    may("email", MAYBE_TEXTS, "pointers to the e-mail address"),
    may("name", MAYBE_TEXTS, "pointers to the name"),
    may("tenant", MAYBE_TEXTS, "pointers to what tells the tenant"),
    may("tenants", TABLE, "what it may say, and the tenant that it then is"),
    may("department", MAYBE_TEXTS, "pointers to the department"),
    may("cost_centre", MAYBE_TEXTS, "pointers to the cost centre"),
    may("region", MAYBE_TEXTS, "pointers to the region"),
    may("populations", MAYBE_TEXTS, "pointers to the populations"),
    may("groups", MAYBE_TEXTS, "pointers to the groups"),
    may("groups_from", Shape::Word(FROM), "where groups are asked for"),
    may("groups_url", Shape::Text, "an address that lists them"),
    may("roles", Shape::Table(&Shape::Word(ROLES)), "groups, and the operator's role each makes"),
];

/// How long sessions last.
pub const SESSIONS: &[Member] = &[
    may("max_age", SPAN, "from signing in to the end"),
    may("idle", SPAN, "without being used"),
    may("outage_grace", SPAN, "while the provider does not answer"),
];

/// Device certificates.
pub const CERTIFICATES: &[Member] = &[
    may("crl", MAYBE_TEXTS, "files of revoked certificates"),
    may("crl_ca", Shape::Text, "the authorities that sign them"),
    may("revoked", Shape::Text, "a file of serials and fingerprints"),
    must("user", Shape::List(&Shape::Word(NAMED_BY)), "what of a certificate names its owner"),
    may("prefix", Shape::Text, "cut off of a name"),
    may("suffix", Shape::Text, "put behind a name"),
];

/// A job.
pub const WORKLOAD: &[Member] = &[
    must("id", Shape::Text, "its name here, which stands in rows"),
    must("issuer", Shape::Text, "its platform's issuer"),
    may("ca", Shape::Text, "a file with its authority, PEM"),
    must("audience", Shape::Text, "what its token must be meant for"),
    must("subjects", TEXTS, "the sub that its token must have"),
    may("claims", TABLE, "what other claims must say, by pointer"),
    may("once", Shape::Truth, "may a token be exchanged only once?"),
    must("tenant", Shape::Text, "the tenant it acts in"),
    may("department", Shape::Text, "for routing and chargeback"),
    may("cost_centre", Shape::Text, "for chargeback"),
    may("groups", MAYBE_TEXTS, "its groups"),
    may("populations", MAYBE_TEXTS, "its populations"),
    may("region", Shape::Text, "where its data must stay"),
];

/// Somebody of this host who may operate.
pub const OPERATOR: &[Member] = &[
    must("user", Shape::Text, "their name on this host"),
    must("roles", Shape::List(&Shape::Word(ROLES)), "what they may"),
    may("tenants", MAYBE_TEXTS, "where; left out for every tenant"),
];

/// How guessing is slowed.
pub const ATTEMPTS: &[Member] = &[
    may("free", Shape::Whole, "failures within a minute that cost nothing"),
    may("longest", SPAN, "the longest wait"),
];
