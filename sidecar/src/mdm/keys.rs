//! Every key there is, from dated tables: what stands where, what belongs together, and what loosens.

use crate::args::mdm::Product;
use crate::failure::Failure;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static DESKTOP: LazyLock<Result<Table, String>> =
    LazyLock::new(|| read(include_str!("../../data/mdm-keys.json")));
static CODE: LazyLock<Result<Table, String>> =
    LazyLock::new(|| read(include_str!("../../data/claude-code-keys.json")));

fn read(text: &str) -> Result<Table, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The keys of one client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// When they were looked up.
    pub as_of: String,
    /// Where.
    pub source: Vec<String>,
    /// What this is.
    pub note: String,
    /// Each key.
    pub keys: Vec<Key>,
    /// What belongs together.
    pub rules: Vec<Rule>,
}

/// A key, or a member of one.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a line of the table, which says or leaves out each"
)]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What stands there.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The group it belongs to.
    #[serde(default)]
    pub section: String,
    /// A few words.
    #[serde(default)]
    pub title: String,
    /// What it does.
    #[serde(default)]
    pub about: String,
    /// What counts where it is not set.
    pub default: Option<Value>,
    /// Who may set it.
    #[serde(default)]
    pub set: Set,
    /// One of the mission's five.
    #[serde(default)]
    pub mission: bool,
    /// Where it was found, if not in the table's own sources.
    pub source: Option<String>,
    /// The client's release that it came with, if known.
    pub since: Option<String>,
    /// Names it had, which are no longer read.
    #[serde(default)]
    pub renamed_from: Vec<String>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// A credential.
    #[serde(default)]
    pub secret: bool,
    /// Words it takes.
    #[serde(default)]
    pub values: Vec<String>,
    /// Words that it took, and what stands for them.
    #[serde(default)]
    pub retired_values: BTreeMap<String, String>,
    /// The least and the greatest number.
    pub range: Option<(i64, i64)>,
    /// Most characters.
    pub max_length: Option<usize>,
    /// How the text is made.
    pub format: Option<Format>,
    /// Of an object whose names are free: what stands behind each.
    pub table: Option<Kind>,
    /// Of an object, or of each in a list.
    #[serde(default)]
    pub members: Vec<Key>,
    /// Exactly one of these members.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// A member that must be there.
    #[serde(default)]
    pub required: bool,
    /// Text does as well.
    #[serde(default)]
    pub or_text: bool,
    /// `true` or `false` does as well.
    #[serde(default)]
    pub or_bool: bool,
    /// A list of texts does as well.
    #[serde(default)]
    pub or_list: bool,
    /// Alone it does not make the configuration a managed one (the vendor's words).
    #[serde(default)]
    pub app_behavior: bool,
    /// Which change loosens.
    pub security: Option<Security>,
}

/// What stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text.
    #[default]
    String,
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of its words.
    Enum,
    /// A list of texts.
    Strings,
    /// Members.
    Object,
    /// A list of objects.
    Objects,
    /// Whatever JSON has.
    Any,
}

impl Kind {
    /// What belongs there.
    pub fn belongs(self) -> &'static str {
        match self {
            Self::String => "text",
            Self::Bool => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Enum => "a word",
            Self::Strings => "a list of texts",
            Self::Object => "members",
            Self::Objects => "a list of members",
            Self::Any => "anything",
        }
    }
}

/// Who may set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Set {
    /// Device management alone.
    #[serde(rename = "mdm")]
    Mdm,
    /// A bootstrap server too.
    #[default]
    #[serde(rename = "mdm+bootstrap")]
    MdmAndBootstrap,
}

impl Set {
    /// As the table says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mdm => "mdm",
            Self::MdmAndBootstrap => "mdm+bootstrap",
        }
    }
}

/// How a text is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// https, or http to this machine itself.
    HttpsUrl,
    /// http or https.
    Url,
    /// From the root of a file system.
    AbsolutePath,
    /// RFC 9562.
    Uuid,
    /// A host, `*.suffix` or `*`, and a port.
    HostPattern,
    /// 64 hexadecimal digits.
    Sha256,
    /// `#RRGGBB`.
    Color,
    /// Twelve digits.
    AwsAccount,
}

/// Which change of a key loosens what people or programs may.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// This value is the safe one.
    Safe(bool),
    /// A list: each entry opens something.
    Fewer(Unset),
    /// A list: each entry closes something.
    More(Unset),
    /// Words, from the strictest on.
    Order(Vec<String>),
    /// A number: a greater one is looser.
    Lower,
    /// Whatever changes, something goes or is decided elsewhere.
    Redirects,
    /// `allow`, `ask` and `deny` of Claude Code.
    Permissions,
}

/// What a list means that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unset {
    /// All is open.
    Open,
    /// All is closed.
    Closed,
}

/// What belongs together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Holds where all of these stand so; `"*"` where they stand at all.
    #[serde(rename = "if")]
    pub when: BTreeMap<String, Value>,
    /// All of these must stand there.
    #[serde(default)]
    pub requires: Vec<String>,
    /// One of these must.
    #[serde(default)]
    pub requires_one: Vec<String>,
    /// None of these may.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Why.
    pub says: String,
    /// It is no fault, and hardly meant so.
    #[serde(default)]
    pub warns: bool,
}

impl Table {
    /// A key.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// A key that had this name.
    pub fn was(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.renamed_from.iter().any(|was| was == name))
    }
}

/// The keys of a client.
///
/// # Errors
/// [`Failure::Refused`], which a test excludes.
pub fn of(product: Product) -> Result<&'static Table, Failure> {
    let table = match product {
        Product::Desktop => &*DESKTOP,
        Product::Code => &*CODE,
    };

    table
        .as_ref()
        .map_err(|why| Failure::Refused(format!("the table of keys does not read: {why}")))
}

/// Does a name say that a credential stands there?
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    let ends = [
        "secret",
        "token",
        "password",
        "passphrase",
        "apikey",
        "authorization",
        "cookie",
        "accesskey",
        // Variables with whole headers in them.
        "exporterotlpheaders",
        "anthropiccustomheaders",
    ];

    // `AWS_BEARER_TOKEN_BEDROCK`: what follows does not take it back.
    ends.iter().any(|end| name.ends_with(end)) || name.contains("bearertoken")
}

#[cfg(test)]
mod tests;
