//! The enterprise's `OpenID` providers: this gateway is a relying party of each (`OpenID` Connect Core 1.0).
//!
//! [`provider`] speaks with one, over [`http`]; [`claims`] makes a person of what it tells. A provider that does
//! not answer keeps the sidecar from starting; one that goes away later stops no token that is in use.

pub mod claims;
pub mod http;
pub mod provider;

pub use self::provider::{Told, Trouble};

use crate::identity::Identity;
use anyhow::Context;
use futures_util::future::try_join_all;
use provider::Provider;
use std::sync::Arc;
use url::Url;

/// Where providers send browsers back to.
pub const CALLBACK: &str = "/oauth/callback";

/// All of them, in the order of the file.
#[derive(Debug, Clone)]
pub struct Providers(Vec<Arc<Provider>>);

impl Providers {
    /// Asks each for its discovery document and keys.
    ///
    /// # Errors
    /// Which one did not answer as it must, and how.
    pub async fn start(identity: &Identity, public: &Url) -> anyhow::Result<Self> {
        let back = public.join(CALLBACK).context("public_url has no path for /oauth/callback")?;
        let each = identity.providers.iter().map(|config| {
            let back = back.clone();
            async move {
                let id = &config.id;
                let provider = Provider::start(config.clone(), &back).await;
                provider.map(Arc::new).with_context(|| format!("the OpenID provider {id:?}"))
            }
        });

        Ok(Self(try_join_all(each).await?))
    }

    /// One, by its name here.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Provider>> {
        self.0.iter().find(|provider| provider.config().id == id)
    }

    /// The one that is meant: by its name, as the only one, or as the only one for the domain of an address.
    pub fn choose(&self, id: Option<&str>, address: Option<&str>) -> Option<&Arc<Provider>> {
        if let Some(id) = id {
            return self.by_id(id);
        }
        if let [only] = self.0.as_slice() {
            return Some(only);
        }
        let domain = address?.rsplit_once('@')?.1.to_ascii_lowercase();
        let mut able = self.0.iter().filter(|one| one.config().domains.contains(&domain));

        able.next().filter(|_| able.next().is_none())
    }

    /// What people choose from: names here, and titles.
    pub fn titles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|provider| {
            let config = provider.config();
            (&*config.id, config.title.as_deref().unwrap_or(&config.id))
        })
    }
}
