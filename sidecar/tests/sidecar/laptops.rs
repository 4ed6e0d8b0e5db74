//! Publications for the tests: a catalogue of two audiences, made, signed and published as its owners do.

use crate::world::{Answer, Fallible, Place, World, ask};
use contract::claims::Method;
use contract::manifest::{
    Audience, Document, INDEX_SCHEMA, Index, Installation, OnExpiry, SCHEMA, sha256,
};
use contract::policy::Who;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tollgate::args::ChangeArgs;
use tollgate::clock;
use tollgate::failure::Failure;
use tollgate::keys::{self, Ring};
use tollgate::manifest::archive::Packed;
use tollgate::manifest::generated::Bundle;
use tollgate::manifest::marketplace::Marketplace;
use tollgate::manifest::publication::{Archived, Contents, Publication, Written};
use tollgate::manifest::publish::{self, Done, Manner};
use tollgate::manifest::signing::{self, Key};
use tollgate::operators::operator::Operator;
use tollgate::store::manifests::ManifestWay;
use tollgate::store::{Store, User};
use tollgate::tokens::{self, Ids, Order};

/// Bytes of the larger plugin: over two blocks of what is sent at once.
pub(crate) const LARGE: usize = 600_000;

/// The plugins: their names, for whom, and what is in them.
pub(crate) struct Plugins {
    pub(crate) everyone: Vec<(&'static str, Vec<u8>)>,
    pub(crate) finance: Vec<(&'static str, Vec<u8>)>,
}

impl Default for Plugins {
    fn default() -> Self {
        // Bytes that nothing makes smaller.
        let mut seed = 1_u32;
        let large = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed.to_le_bytes()[0]
        });
        Self {
            everyone: vec![("notes", b"# Notes".to_vec())],
            finance: vec![("ledger", large.take(LARGE).collect())],
        }
    }
}

/// Archives of the plugins, by name.
pub(crate) type Digests = BTreeMap<&'static str, String>;

/// A publication that nobody has signed: `finance` for the group, `everyone` for all.
pub(crate) fn contents(
    (catalogue, version): (&str, u64),
    lifetime: u64,
    plugins: &Plugins,
) -> Fallible<(Contents, Digests)> {
    let now = clock::now();
    let (mut archives, mut digests) = (BTreeMap::new(), Digests::new());
    let mut bundle = |all: &[(&'static str, Vec<u8>)]| -> Fallible<Vec<_>> {
        let mut made = Vec::new();
        for (name, bytes) in all {
            let files = vec![
                Packed::text(".claude-plugin/plugin.json", format!("{{\"name\":\"{name}\"}}")),
                Packed::text("data.bin", bytes.clone()),
            ];
            let bundle = Bundle::new(name, "1.0.0", Installation::Available, files)?;
            let sha256 = bundle.plugin.archive.sha256.clone();
            digests.insert(name, sha256.clone());
            archives.insert(sha256, Archived::Memory(bundle.archive));
            made.push(bundle.plugin);
        }
        Ok(made)
    };
    let everyone = bundle(&plugins.everyone)?;
    let finance = bundle(&plugins.finance)?;
    let base = Document {
        schema: SCHEMA.into(),
        catalogue: catalogue.into(),
        audience: "everyone".into(),
        version,
        issued_at: now,
        expires_at: now + lifetime,
        on_expiry: OnExpiry::Keep,
        plugins: everyone,
        skills: vec![],
        agents: vec![],
        managed_mcp_servers: vec![],
        revocations: vec![],
    };
    let finance = Document { audience: "finance".into(), plugins: finance, ..base.clone() };
    let (mut audiences, mut documents, mut marketplaces) =
        (vec![], BTreeMap::new(), BTreeMap::new());
    for document in [finance, base] {
        let name = document.audience.clone();
        let place = ("https://gateway.example", "Acme");
        let market = Marketplace::of(&document, place, &BTreeMap::new()).canonical()?;
        let document = Written::document(document)?;
        let groups = if name == "finance" { vec!["finance".to_owned()] } else { vec![] };
        audiences.push(Audience {
            name: name.clone(),
            who: Who { groups, tenants: vec!["acme".into()], ..Who::default() },
            unless: None,
            document_sha256: document.sha256(),
            marketplace_sha256: Some(sha256(&market)),
        });
        marketplaces.insert(name.clone(), market);
        documents.insert(name, document);
    }
    let (schema, catalogue, expires_at) = (INDEX_SCHEMA.into(), catalogue.into(), now + lifetime);
    let index = Index { schema, catalogue, version, issued_at: now, expires_at, audiences };
    let index = Written::index(index)?;
    Ok((Contents { index, documents, marketplaces, archives }, digests))
}

/// The installation's own key.
pub(crate) fn key(place: &Place) -> Fallible<Key> {
    let (key_id, pair) = keys::manifest_key(&place.data.manifest_key())?;
    Ok(Key::Here { key_id, pair })
}

/// Signed by it.
pub(crate) async fn signed(place: &Place, contents: Contents) -> Fallible<Publication> {
    Ok(signing::publication(contents, &key(place)?).await?)
}

/// Put in force, as `tollgate manifest publish` does it.
pub(crate) async fn put(store: &Store, publication: &Publication) -> Result<Done, Failure> {
    let change = ChangeArgs::default();
    let (way, what) = (ManifestWay::Publish, "");
    let manner = Manner { way, what, change: &change, other_catalogue: false, unrevoke: &[] };
    publish::publish(store, publication, manner, &Operator::owner()).await
}

impl World {
    /// Publishes the usual plugins as this version, and waits until this sidecar serves it.
    pub(crate) async fn release(&self, version: u64, plugins: &Plugins) -> Fallible<Digests> {
        let (contents, digests) = contents(("acme", version), 86_400, plugins)?;
        put(&self.store, &signed(&self.place, contents).await?).await?;
        self.until_version(version).await?;
        Ok(digests)
    }

    /// How long until this sidecar serves a version.
    pub(crate) async fn until_version(&self, version: u64) -> Fallible<Duration> {
        let begun = Instant::now();
        while self.metric("tollgate_manifest_version ").await? != version {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("it is not served".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(begun.elapsed())
    }

    /// A token of somebody in these groups.
    pub(crate) async fn laptop(&self, name: &str, groups: &[&str]) -> Fallible<String> {
        self.laptop_of(name, "acme", groups, 300).await
    }

    pub(crate) async fn laptop_of(
        &self,
        name: &str,
        tenant: &str,
        groups: &[&str],
        ttl: u64,
    ) -> Fallible<String> {
        let user = User {
            sub: format!("usr_{name}"),
            user_id: format!("{name}@example.com"),
            tenant_id: tenant.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        };
        let ids = Ids::draw()?;
        let order = Order {
            user: &user,
            method: Method::Sso,
            credential_id: &ids.sid,
            client_id: "tollgate-helper",
            certificate: None,
            policy_version: "v1",
            issuer: "https://tollgate.localhost",
            audience: "tollgate",
            now: clock::now(),
            ttl,
        };
        let ring = Ring::read(&self.place.data.signing())?;
        Ok(tokens::mint(&order, &ids, ring.newest()).await?.0)
    }

    pub(crate) async fn get(
        &self,
        token: &str,
        path: &str,
        more: &[(&str, &str)],
    ) -> Fallible<Answer> {
        self.method("GET", token, path, more, "").await
    }

    pub(crate) async fn method(
        &self,
        method: &str,
        token: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Fallible<Answer> {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", &*bearer)];
        headers.extend(more);
        ask(self.at.public, method, path, &headers, body).await
    }
}

/// Where a document is.
pub(crate) const MANIFEST: &str = "/v1/cowork/manifest";

/// Where an archive is.
pub(crate) fn plugin(sha256: &str) -> String {
    format!("/v1/cowork/plugins/{sha256}")
}

/// Status, and the type of the error, which is in the Messages API's shape.
pub(crate) fn error(answer: &Answer) -> Fallible<(u16, String)> {
    let told = answer.json()?;
    assert_eq!(told.get("type"), Some(&"error".into()), "{}", answer.body);
    let kind = told.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    Ok((answer.status, kind.to_owned()))
}
