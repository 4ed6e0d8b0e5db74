//! What a publication changes for each audience, in words for people. Nothing is decided by it.

use super::publication::Publication;
use crate::store::manifests::ManifestDocument;
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::Envelope;
use contract::manifest::{Document, sha256};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What changes for one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The audience.
    pub audience: String,
    /// `+ plugin x 1.2.0`, `- skill y`, `~ agent z`; empty where nothing does.
    pub changes: Vec<String>,
    /// SHA-256 of its marketplace document, where it has one.
    pub marketplace: Option<String>,
    /// Is that another than before?
    pub pin_changed: bool,
}

impl Changes {
    /// As JSON.
    pub fn object(&self) -> Value {
        json!({ "audience": self.audience, "changes": self.changes,
            "manifestSha256": self.marketplace, "pin_changed": self.pin_changed })
    }
}

/// For each audience of a publication, against what was in force.
pub fn of(publication: &Publication, before: &[ManifestDocument]) -> Vec<Changes> {
    let contents = publication.contents();
    let mut all: Vec<Changes> = publication
        .index()
        .audiences
        .iter()
        .map(|audience| {
            let was = before.iter().find(|it| it.audience == audience.name);
            let pin = was.and_then(|it| it.marketplace.as_deref()).map(sha256);
            let now = contents.documents.get(&audience.name).map(|it| &it.says);
            Changes {
                audience: audience.name.clone(),
                changes: between(was.and_then(read).as_ref(), now),
                pin_changed: audience.marketplace_sha256.is_some()
                    && pin != audience.marketplace_sha256,
                marketplace: audience.marketplace_sha256.clone(),
            }
        })
        .collect();
    let gone = before.iter().filter(|was| !contents.documents.contains_key(&was.audience));
    all.extend(gone.map(|was| Changes {
        audience: was.audience.clone(),
        changes: vec!["- the audience".into()],
        marketplace: None,
        pin_changed: false,
    }));

    all
}

/// What a stored document says, for a look.
pub fn read(stored: &ManifestDocument) -> Option<Document> {
    let envelope: Envelope = serde_json::from_slice(&stored.envelope).ok()?;

    serde_json::from_slice(&BASE64_STANDARD.decode(envelope.payload).ok()?).ok()
}

/// What each thing is called, and what tells one text of it from the next.
fn things(document: Option<&Document>) -> BTreeMap<String, String> {
    let Some(document) = document else { return BTreeMap::new() };
    let plugins = document.plugins.iter().map(|it| (format!("plugin {}", it.name), text(it)));
    let skills = document.skills.iter().map(|it| (format!("skill {}", it.id), text(it)));
    let agents = document.agents.iter().map(|it| (format!("agent {}", it.id), text(it)));
    let servers =
        document.managed_mcp_servers.iter().map(|it| (format!("mcp_server {}", it.id), text(it)));
    let revoked = document
        .revocations
        .iter()
        .map(|it| (format!("revocation of {} {}", it.kind.as_str(), it.id), text(it)));

    plugins.chain(skills).chain(agents).chain(servers).chain(revoked).collect()
}

fn text(thing: &impl Serialize) -> String {
    serde_json::to_string(thing).unwrap_or_default()
}

/// What one document has that another has not.
pub fn between(before: Option<&Document>, now: Option<&Document>) -> Vec<String> {
    let versions: BTreeMap<String, &str> = now
        .into_iter()
        .flat_map(|it| &it.plugins)
        .map(|it| (format!("plugin {}", it.name), &*it.version))
        .collect();
    let (was, is) = (things(before), things(now));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();

    names
        .into_iter()
        .filter_map(|name| {
            let sign = match (was.get(name), is.get(name)) {
                (None, _) => "+",
                (_, None) => "-",
                (Some(was), Some(is)) if was != is => "~",
                _ => return None,
            };
            let version = versions.get(name).map(|it| format!(" {it}")).unwrap_or_default();
            Some(format!("{sign} {name}{version}"))
        })
        .collect()
}
