//! What in Envoy's files is secret, and how it is kept out of everything that is printed or written down.

use super::files::{Set, is_private};
use super::tree::{Tree, TreeKind};
use std::collections::BTreeSet;

/// Shortest secret that is looked for in a sentence: a shorter one is none.
const SHORTEST: usize = 4;

/// Members whose values are secret wherever they stand.
const SECRET: &[&str] = &[
    "password",
    "secret_access_key",
    "session_token",
    "private_key",
    "hmac_secret",
    "generic_secret",
    "session_ticket_keys",
    "client_secret",
    "token_secret",
    "credential",
    "pkcs12",
    "psk",
];

/// Headers whose values are.
const HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

/// What in such a member is no secret: names, and where something is.
const OPEN: &[&str] = &[
    "@type",
    "name",
    "filename",
    "path",
    "environment_variable",
    "resource_api_version",
    "cluster",
    "header",
    "auth_type",
    "uri",
    "type",
    "cluster_name",
    "ads",
];

/// The secrets of some files.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeSet<String>);

impl Secrets {
    /// All that stand in these.
    pub fn of<'s>(sets: impl IntoIterator<Item = &'s Set>) -> Self {
        let mut found = Self::default();
        for (name, file) in sets.into_iter().flat_map(Set::files) {
            if let Some(tree) = &file.tree {
                found.look(tree, false, is_private(name));
            }
        }

        found
    }

    /// All that stand in one.
    pub fn in_tree(name: &str, tree: &Tree) -> Self {
        let mut found = Self::default();
        found.look(tree, false, is_private(name));

        found
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is it one?
    pub fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    fn look(&mut self, tree: &Tree, secret: bool, private: bool) {
        match &tree.kind {
            TreeKind::Scalar { text, .. } => {
                if secret && !text.is_empty() {
                    self.0.insert(text.clone());
                }
            }
            TreeKind::List(items) => {
                for item in items {
                    self.look(item, secret, private);
                }
            }
            TreeKind::Map(members) => {
                let header = ["key", "name", "header_name"].iter().any(|name| {
                    let text = tree.text_of(name).unwrap_or_default().to_lowercase();
                    HEADERS.contains(&text.as_str())
                });
                for (name, _, member) in members {
                    let open = OPEN.contains(&name.as_str());
                    // In a file of secrets everything that is written out may be one.
                    let inline =
                        private && matches!(name.as_str(), "inline_string" | "inline_bytes");
                    let of_header = header && matches!(name.as_str(), "value" | "raw_value");
                    let named = SECRET.contains(&name.as_str());
                    let below = (secret && !open) || named || inline || of_header;
                    self.look(member, below && !is_reference(member), private);
                }
            }
        }
    }

    /// A sentence without them.
    pub fn redact(&self, sentence: &str) -> String {
        let mut clean = sentence.to_owned();
        for secret in &self.0 {
            // As it stands, and as it stands in JSON; a key of many lines also line by line.
            let quoted = serde_json::Value::from(secret.as_str()).to_string();
            let lines = secret.lines().map(str::trim);
            for form in [secret.as_str(), quoted.trim_matches('"')].into_iter().chain(lines) {
                if form.len() >= SHORTEST {
                    clean = clean.replace(form, "(secret)");
                }
            }
        }

        clean
    }
}

/// A mapping that says where a secret is, rather than what it is.
fn is_reference(tree: &Tree) -> bool {
    tree.get("sds_config").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::yaml;

    fn secrets(name: &str, text: &str) -> Secrets {
        Secrets::in_tree(name, &Tree::of(&name.into(), yaml::parse(text).unwrap()))
    }

    #[test]
    fn what_is_secret_is_known_by_where_it_stands() {
        let all = secrets(
            "clusters.yaml",
            "a: {generic_secret: {secret: {inline_string: S1}}, name: n}\n\
             b: {tls_certificate: {certificate_chain: {filename: c}, private_key: {inline_string: S2}}}\n\
             c: {credential: {name: key, sds_config: {path_config_source: {path: p}}}}\n\
             d: [{header: {key: Authorization, value: S3}}, {header: {key: x-a, value: open}}]\n\
             e: {secret_access_key: S4, access_key_id: open}\n",
        );

        for secret in ["S1", "S2", "S3", "S4"] {
            assert!(all.has(secret), "{secret}");
        }
        for open in ["n", "c", "key", "p", "open"] {
            assert!(!all.has(open), "{open}");
        }
        assert!(secrets("secrets/a.yaml", "x: {inline_string: S5}").has("S5"));
    }

    #[test]
    fn a_sentence_keeps_none_be_it_quoted_or_a_line_of_a_key() {
        let all = secrets(
            "a",
            "password: \"one \\\"two\\\"\"\nprivate_key: {inline_string: \"BEGIN\\nAAAABBBB\\n\"}\n",
        );

        let clean = all.redact(r#"bad: one "two", {"p": "one \"two\""}, AAAABBBB"#);

        assert!(!clean.contains("two") && !clean.contains("AAAA"), "{clean}");
    }
}
