//! A publication → the next one, without its author: something is revoked at once, or an older one comes back.
//!
//! Nothing is added that the older one did not have. What needs something that goes, goes with it: skills and agents with
//! their plugin, agents with a skill or an MCP server of theirs, plugins with an MCP server that they bring.

use super::ManifestFailure;
use super::archive;
use super::generated::{self, Bundle};
use super::marketplace::Marketplace;
use super::plugin::Brings;
use super::publication::{Archived, Contents, Written};
use contract::manifest::{Audience, Document, Index, Kind, LARGEST_NUMBER, Revocation, sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a publication. It is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    /// The next one.
    pub contents: Contents,
    /// What went, from any audience.
    pub gone: BTreeSet<(Kind, String)>,
    /// The audiences that had something of it.
    pub audiences: BTreeSet<String>,
}

impl Revised {
    /// What went besides what was named: it needed that.
    pub fn also<'a>(&'a self, named: &'a [Revocation]) -> impl Iterator<Item = &'a (Kind, String)> {
        self.gone.iter().filter(|(kind, id)| !named.iter().any(|it| is(it, *kind, id)))
    }
}

/// The next publication, from which something was withdrawn in all audiences. `version` must be higher; `at` is now, Unix
/// seconds, and it is valid as long as the one before was.
///
/// That an id is nowhere is no error: [`Revised::gone`] is empty then, and whoever asked may have mistyped it.
///
/// # Errors
/// [`ManifestFailure`].
pub fn revoke(
    contents: &Contents,
    revocation: Revocation,
    version: u64,
    at: u64,
) -> Result<Revised, ManifestFailure> {
    let revoked = |it: &Written<Document>| it.says.revokes(revocation.kind, &revocation.id);
    if contents.documents.values().all(revoked) {
        let Revocation { kind, id, .. } = revocation;
        let why = format!("{} {id:?} is revoked already", kind.as_str());
        return Err(ManifestFailure::Refused(why));
    }

    revise(contents, &[revocation], version, at)
}

/// What an older publication said, as the next one. What the one in force has revoked stays revoked.
///
/// # Errors
/// [`ManifestFailure`].
pub fn rollback(
    older: &Contents,
    in_force: &Contents,
    version: u64,
    at: u64,
) -> Result<Revised, ManifestFailure> {
    if version <= in_force.index.says.version {
        return Err(not_higher(version, in_force));
    }
    let mut revocations = BTreeMap::new();
    for it in in_force.documents.values().flat_map(|it| &it.says.revocations) {
        revocations.entry((it.kind, it.id.to_ascii_lowercase())).or_insert_with(|| it.clone());
    }
    let revocations: Vec<_> = revocations.into_values().collect();

    revise(older, &revocations, version, at)
}

/// The plugins of a publication that have this skill or agent among their own files, by name.
///
/// Laptops leave these files out where it is revoked. The archive has them, so whoever takes the plugin whole, as from a
/// marketplace, has it still.
pub fn within<'a>(contents: &'a Contents, revocation: &Revocation) -> BTreeSet<&'a str> {
    let id = &revocation.id;
    let is_its = |path: &str| {
        let mut parts = path.split('/');
        match (revocation.kind, parts.next(), parts.next()) {
            (Kind::Skill, Some("skills"), Some(name)) => name.eq_ignore_ascii_case(id),
            (Kind::Agent, Some("agents"), Some(name)) => {
                name.strip_suffix(".md").unwrap_or(name).eq_ignore_ascii_case(id)
            }
            _ => false,
        }
    };
    let plugins = contents.documents.values().flat_map(|it| &it.says.plugins);

    plugins
        .filter(|it| it.files.iter().any(|file| is_its(&file.path)))
        .map(|it| it.name.as_str())
        .collect()
}

fn not_higher(version: u64, contents: &Contents) -> ManifestFailure {
    let before = contents.index.says.version;
    ManifestFailure::Refused(format!("version {version} is not higher than {before}"))
}

/// The same, without what these revoke.
fn revise(
    contents: &Contents,
    revocations: &[Revocation],
    version: u64,
    at: u64,
) -> Result<Revised, ManifestFailure> {
    let index = &contents.index.says;
    if version <= index.version {
        return Err(not_higher(version, contents));
    }
    let valid = index.expires_at.saturating_sub(index.issued_at);
    let mut next = Next {
        times: (at, at.saturating_add(valid).min(LARGEST_NUMBER)),
        version,
        revocations,
        bring: bringing(contents, revocations)?,
        made: BTreeMap::new(),
        gone: BTreeSet::new(),
    };
    let mut audiences = Vec::with_capacity(index.audiences.len());
    let mut documents = BTreeMap::new();
    let mut marketplaces = BTreeMap::new();
    let mut touched = BTreeSet::new();
    for audience in &index.audiences {
        let Some(before) = contents.documents.get(&audience.name) else { continue };
        let document = next.document(&before.says)?;
        if shape(&before.says) != shape(&document) {
            touched.insert(audience.name.clone());
        }
        let marketplace = match contents.marketplaces.get(&audience.name) {
            Some(bytes) => Some(marketplace(bytes, &document)?),
            None => None,
        };
        let written = Written::document(document)?;
        audiences.push(Audience {
            document_sha256: written.sha256(),
            marketplace_sha256: marketplace.as_deref().map(sha256),
            ..audience.clone()
        });
        marketplaces.extend(marketplace.map(|bytes| (audience.name.clone(), bytes)));
        documents.insert(audience.name.clone(), written);
    }
    let Next { times: (issued_at, expires_at), made, gone, .. } = next;
    let archives = archives(&documents, &contents.archives, made);
    let index =
        Written::index(Index { version, issued_at, expires_at, audiences, ..index.clone() })?;
    let contents = Contents { index, documents, marketplaces, archives };

    Ok(Revised { contents, gone, audiences: touched })
}

/// What of a document a person would notice.
fn shape(document: &Document) -> [usize; 4] {
    [
        document.plugins.len(),
        document.skills.len(),
        document.agents.len(),
        document.managed_mcp_servers.len(),
    ]
}

fn marketplace(bytes: &[u8], document: &Document) -> Result<Vec<u8>, ManifestFailure> {
    let broken = |problem| ManifestFailure::Broken { path: "marketplaces".into(), problem };

    Marketplace::parse(bytes).map_err(broken)?.revised(document).canonical()
}

/// Those that the documents name, of what was there and of what was made.
fn archives(
    documents: &BTreeMap<String, Written<Document>>,
    before: &BTreeMap<String, Archived>,
    made: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Archived> {
    let mut archives: BTreeMap<_, _> =
        made.into_iter().map(|(sha, bytes)| (sha, Archived::Memory(bytes))).collect();
    let named = documents.values().flat_map(|it| &it.says.plugins).map(|it| &it.archive.sha256);
    for sha in named {
        if let Some(archived) = before.get(sha) {
            archives.entry(sha.clone()).or_insert_with(|| archived.clone());
        }
    }

    archives
}

/// The archives of plugins that bring an MCP server which these revoke, or may: by its name, or from where it is.
fn bringing(
    contents: &Contents,
    revocations: &[Revocation],
) -> Result<BTreeSet<String>, ManifestFailure> {
    let mut bring = BTreeSet::new();
    let revoked = |id: &str| revocations.iter().any(|it| is(it, Kind::McpServer, id));
    if !revocations.iter().any(|it| it.kind == Kind::McpServer) {
        return Ok(bring);
    }
    let documents = || contents.documents.values().map(|it| &it.says);
    let servers: Vec<_> = documents()
        .flat_map(|it| &it.managed_mcp_servers)
        .filter(|server| revoked(&server.id))
        .collect();
    let mut seen = BTreeSet::new();
    for plugin in documents().flat_map(|it| &it.plugins) {
        let sha256 = &plugin.archive.sha256;
        if !seen.insert(sha256) {
            continue;
        }
        let broken =
            |problem| ManifestFailure::Broken { path: plugin.name.clone().into(), problem };
        let archived =
            contents.archives.get(sha256).ok_or_else(|| broken("has no archive".into()))?;
        let files = archive::unpack(&archived.bytes()?, &plugin.files).map_err(broken)?;
        let Brings { servers: brought, unclear } = Brings::of(&files);
        let is_revoked = brought
            .iter()
            .any(|it| revoked(&it.name) || servers.iter().any(|server| it.is_at(server)));
        if is_revoked || !unclear.is_empty() {
            bring.insert(sha256.clone());
        }
    }

    Ok(bring)
}

fn is(revocation: &Revocation, kind: Kind, id: &str) -> bool {
    revocation.kind == kind && revocation.id.eq_ignore_ascii_case(id)
}

struct Next<'a> {
    times: (u64, u64),
    version: u64,
    revocations: &'a [Revocation],
    /// Archives of plugins that go with an MCP server.
    bring: BTreeSet<String>,
    made: BTreeMap<String, Vec<u8>>,
    gone: BTreeSet<(Kind, String)>,
}

impl Next<'_> {
    fn document(&mut self, before: &Document) -> Result<Document, ManifestFailure> {
        let mut document = before.clone();
        document.version = self.version;
        (document.issued_at, document.expires_at) = self.times;
        for it in self.revocations {
            if !document.revokes(it.kind, &it.id) {
                document.revocations.push(it.clone());
            }
        }
        document.revocations.sort();
        let stays = |kind: Kind, id: &str| !self.revocations.iter().any(|it| is(it, kind, id));

        document
            .plugins
            .retain(|it| stays(Kind::Plugin, &it.name) && !self.bring.contains(&it.archive.sha256));
        document.managed_mcp_servers.retain(|it| stays(Kind::McpServer, &it.id));
        let Document { plugins, skills, agents, managed_mcp_servers: servers, .. } = &mut document;
        skills.retain(|it| {
            stays(Kind::Skill, &it.id) && plugins.iter().any(|plugin| plugin.name == it.plugin)
        });
        agents.retain(|it| {
            let has_skill = |id: &String| skills.iter().any(|skill| skill.id == *id);
            let has_server = |id: &String| servers.iter().any(|server| server.id == *id);
            stays(Kind::Agent, &it.id)
                && plugins.iter().any(|plugin| plugin.name == it.plugin)
                && it.skills.iter().all(has_skill)
                && it.mcp_servers.iter().all(has_server)
        });
        self.bundles(before, &mut document)?;
        self.note(before, &document);

        Ok(document)
    }

    /// Makes the plugins again whose skills or agents are fewer now.
    fn bundles(&mut self, before: &Document, after: &mut Document) -> Result<(), ManifestFailure> {
        let mut plugins = Vec::with_capacity(after.plugins.len());
        for plugin in &after.plugins {
            let made = |document: &Document| {
                generated::bundle(
                    (&document.catalogue, &plugin.name, plugin.installation),
                    document.skills.iter().filter(|it| it.plugin == plugin.name),
                    document.agents.iter().filter(|it| it.plugin == plugin.name),
                )
            };
            let brings = |document: &Document| {
                let skills = document.skills.iter().filter(|it| it.plugin == plugin.name);
                let agents = document.agents.iter().filter(|it| it.plugin == plugin.name);
                (skills.count(), agents.count())
            };
            if brings(before) == brings(after) {
                plugins.push(plugin.clone());
                continue;
            }
            let was = made(before)?.map(|bundle| bundle.plugin.directory_sha256);
            if was.as_ref() != Some(&plugin.directory_sha256) {
                return Err(ManifestFailure::Refused(format!(
                    "the plugin {0:?} has files that no skill or agent of the document accounts for, and is not made again without \
                     one: `tollgate manifest revoke --kind plugin --id {0}`",
                    plugin.name
                )));
            }
            if let Some(Bundle { plugin, archive }) = made(after)? {
                self.made.insert(plugin.archive.sha256.clone(), archive);
                plugins.push(plugin);
            }
        }
        after.plugins = plugins;

        Ok(())
    }

    fn note(&mut self, before: &Document, after: &Document) {
        let gone = [
            (Kind::Plugin, missing(&before.plugins, &after.plugins, |it| &it.name)),
            (Kind::Skill, missing(&before.skills, &after.skills, |it| &it.id)),
            (Kind::Agent, missing(&before.agents, &after.agents, |it| &it.id)),
            (
                Kind::McpServer,
                missing(&before.managed_mcp_servers, &after.managed_mcp_servers, |it| &it.id),
            ),
        ];
        for (kind, ids) in gone {
            self.gone.extend(ids.into_iter().map(|id| (kind, id)));
        }
    }
}

fn missing<T>(before: &[T], after: &[T], name: impl Fn(&T) -> &String) -> Vec<String> {
    let stays = |it: &T| after.iter().any(|other| name(other) == name(it));

    before.iter().filter(|it| !stays(it)).map(|it| name(it).clone()).collect()
}
