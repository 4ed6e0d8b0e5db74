//! The marketplace document of an audience: the same plugins for clients that fetch them themselves.
//!
//! Such a client knows no signature of ours. It is told the digest of this document by device management
//! (`manifestSha256`), and each archive's digest stands in it.

use super::ManifestFailure;
use contract::canonical;
use contract::manifest::Document;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `marketplace.json`, in the form whose plugins are fetched by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marketplace {
    /// Of the catalogue.
    pub name: String,
    /// Who keeps it.
    pub owner: Owner,
    /// In the document's order.
    pub plugins: Vec<Offered>,
}

/// Who keeps a marketplace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// For people.
    pub name: String,
}

/// A plugin of a marketplace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The client's word.
    pub installation_preference: String,
    /// Where it is fetched.
    pub source: Source,
}

/// Where a plugin is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Always `archive`.
    pub source: String,
    /// On the marketplace's own origin.
    pub url: String,
    /// SHA-256 of the archive, hex.
    pub sha256: String,
}

/// Where an archive is fetched from a gateway.
pub fn address(gateway: &str, sha256: &str) -> String {
    format!("{}/v1/cowork/plugins/{sha256}.zip", gateway.trim_end_matches('/'))
}

impl Marketplace {
    /// Of an audience's document. Plugins say what they are for.
    pub fn of(
        document: &Document,
        (gateway, owner): (&str, &str),
        descriptions: &BTreeMap<String, String>,
    ) -> Self {
        let offered = |plugin: &contract::manifest::Plugin| Offered {
            name: plugin.name.clone(),
            description: descriptions.get(&plugin.name).cloned().unwrap_or_default(),
            installation_preference: plugin.installation.as_str().to_owned(),
            source: Source {
                source: "archive".to_owned(),
                url: address(gateway, &plugin.archive.sha256),
                sha256: plugin.archive.sha256.clone(),
            },
        };

        Self {
            name: document.catalogue.clone(),
            owner: Owner { name: owner.to_owned() },
            plugins: document.plugins.iter().map(offered).collect(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Its bytes: canonical JSON.
    ///
    /// # Errors
    /// [`ManifestFailure`].
    pub fn canonical(&self) -> Result<Vec<u8>, ManifestFailure> {
        Ok(canonical::write(&serde_json::to_vec(self)?)?)
    }

    /// Does it offer what the document has, and nothing else?
    pub fn fits(&self, document: &Document) -> bool {
        let offered = self.plugins.iter().map(|it| {
            (&it.name, it.installation_preference.as_str(), &it.source.sha256, &it.source.url)
        });
        let mut has = document
            .plugins
            .iter()
            .map(|it| (&it.name, it.installation.as_str(), &it.archive.sha256));

        self.name == document.catalogue
            && self.plugins.len() == document.plugins.len()
            && offered.into_iter().all(|(name, word, sha256, url)| {
                has.next() == Some((name, word, sha256))
                    && url.ends_with(&format!("/v1/cowork/plugins/{sha256}.zip"))
            })
    }

    /// As it is after a change of the document, which brings nothing that was not there before.
    #[must_use]
    pub fn revised(&self, document: &Document) -> Self {
        let base = self.plugins.iter().find_map(|it| {
            it.source.url.strip_suffix(&format!("/v1/cowork/plugins/{}.zip", it.source.sha256))
        });
        let texts = self.plugins.iter().map(|it| (it.name.clone(), it.description.clone()));

        Self::of(document, (base.unwrap_or_default(), &self.owner.name), &texts.collect())
    }
}
