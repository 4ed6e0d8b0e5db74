//! What a run tells: `last-sync.json`, as it comes together.

use super::{Signed, result};
use crate::sync::choose::Choice;
use crate::sync::places::Os;
use crate::sync::record::short;
use crate::sync::state::State;
use crate::sync::trouble::Trouble;
use crate::sync::wanted::{Found, Stands as How, Wanted};
use contract::manifest::{
    LAST_SYNC_SCHEMA, LastSync, Manifest, Rejected, Standing, Stands, SyncResult,
};
use std::path::Path;

/// What there is to tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    is_new: bool,
    /// Has what stands there expired?
    pub(super) stale: bool,
    standing: Option<Standing>,
    installed: Vec<String>,
    updated: Vec<String>,
    removed: Vec<String>,
    repaired: Vec<String>,
    warnings: Vec<String>,
    /// A word that is no failure.
    code: Option<(String, String)>,
}

impl Told {
    /// What stood there when the run began.
    pub(super) fn stands(&mut self, standing: Option<&Signed>, state: &State) {
        self.standing = standing.map(|(manifest, _)| {
            let plugins = manifest.document().plugins.iter();
            let plugins = plugins
                .map(|it| (it.name.clone(), it.version.clone(), it.directory_sha256.clone()));
            of(manifest, plugins.collect(), state)
        });
    }

    /// What stands there now.
    #[expect(clippy::unnecessary_wraps, reason = "the last word of a round that may fail")]
    pub(super) fn now(&mut self, wanted: &Wanted<'_>, state: &State) -> Result<(), Trouble> {
        let plugins = wanted.plugins.iter().map(|it| it.plugin);
        let plugins =
            plugins.map(|it| (it.name.clone(), it.version.clone(), it.directory_sha256.clone()));
        let mut standing = of(wanted.manifest, plugins.collect(), state);
        standing.managed_mcp_servers = wanted.servers.len();
        self.standing = Some(standing);

        Ok(())
    }

    /// What was changed.
    pub(super) fn done(
        &mut self,
        found: &Found,
        gone: &[String],
        before: Option<&Signed>,
        is_new: bool,
    ) {
        self.is_new = is_new;
        self.removed = gone.to_vec();
        let stood = |name: &str| {
            before.is_some_and(|(it, _)| it.document().plugins.iter().any(|it| it.name == name))
        };
        for (name, how) in &found.plugins {
            let list = match (how, is_new) {
                (How::Whole, _) => continue,
                (How::Otherwise, true) if stood(name) => &mut self.updated,
                (How::Not | How::Otherwise, true) => &mut self.installed,
                (How::Not | How::Otherwise, false) => &mut self.repaired,
            };
            list.push(name.clone());
        }
        if !is_new {
            self.repaired.extend(found.records.iter().map(|name| (*name).to_owned()));
        }
    }

    /// The same in a line, beforehand.
    pub(super) fn changes(found: &Found, gone: &[String], before: Option<&Signed>) -> String {
        let all = found.plugins.iter().filter(|(_, how)| **how != How::Whole);
        let all: Vec<&str> = all.map(|(name, _)| name.as_str()).collect();
        let from = before.map(|(it, _)| it.document().version);
        let from = from.map(|from| format!("after version {from}; ")).unwrap_or_default();

        short(&format!(
            "{from}{} plugins; to come: {}; to go: {}; records: {}",
            found.plugins.len(),
            list(&all),
            list(&gone.iter().map(String::as_str).collect::<Vec<_>>()),
            list(&found.records),
        ))
    }

    /// What was not taken.
    ///
    /// # Errors
    /// The first of it, if nothing else came of the run.
    pub(super) fn refused(
        &mut self,
        choice: Choice,
        is_new: bool,
        stands: bool,
        from: Option<&str>,
    ) -> Result<(), Trouble> {
        let Choice { same, torn, mut refused, .. } = choice;
        if is_new || same {
            let refused = torn.iter().chain(refused.iter().map(|(_, trouble)| trouble));
            // That others on this machine are of another audience, or have not been here for long, is nobody's concern.
            let told = refused.filter(|it| {
                !matches!(it, Trouble::Rejected(Rejected::Audience(..) | Rejected::Older(..)))
            });
            self.warnings.extend(told.map(|it| short(&it.to_string())));
            return Ok(());
        }
        // The inbox from which it came that stands may fail a run; what anybody else lays into another is told of.
        if stands && from.is_some() {
            let others = refused.extract_if(.., |(inbox, _)| Some(inbox.as_str()) != from);
            self.warnings.extend(others.map(|(_, trouble)| short(&trouble.to_string())));
        }
        match torn.into_iter().chain(refused.into_iter().map(|(_, trouble)| trouble)).next() {
            None => {
                if !stands {
                    let problem = "no document has come yet".to_owned();
                    self.code = Some(("no_document".to_owned(), problem));
                }
                Ok(())
            }
            Some(trouble @ Trouble::Rejected(Rejected::Expired(_))) => {
                self.stale = true;
                self.code = Some((trouble.code().to_owned(), short(&trouble.to_string())));
                Ok(())
            }
            Some(trouble) => Err(trouble),
        }
    }

    /// What could not be cleared away.
    pub(super) fn left(&mut self, left: &[Trouble]) {
        for trouble in left {
            let told = short(&format!("cannot be cleared away: {trouble}"));
            if !self.warnings.contains(&told) {
                self.warnings.push(told);
            }
        }
    }

    /// Says so if those who use the folder of plugins can write it.
    pub(super) fn user_writable(&mut self, mount: &Path, scratch: &Path) {
        if let Some(why) = writable(mount, scratch) {
            self.warnings.push(why);
        }
    }

    /// All of it.
    pub(super) fn last_sync(self, state: &State, trouble: Option<&Trouble>, now: u64) -> LastSync {
        let said = self.code.unzip();

        LastSync {
            schema: LAST_SYNC_SCHEMA.to_owned(),
            device: state.device.clone(),
            helper: env!("CARGO_PKG_VERSION").to_owned(),
            os: Os::HERE.name().to_owned(),
            synced_at: now,
            result: match trouble {
                Some(_) => SyncResult::Failed,
                None => result(self.is_new, self.stale),
            },
            code: trouble.map(|it| it.code().to_owned()).or(said.0),
            problem: trouble.map(|it| short(&it.to_string())).or(said.1),
            standing: self.standing,
            installed: self.installed,
            updated: self.updated,
            removed: self.removed,
            repaired: self.repaired,
            warnings: self.warnings,
        }
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn of(manifest: &Manifest, plugins: Vec<(String, String, String)>, state: &State) -> Standing {
    let document = manifest.document();
    let stands = |(name, version, directory_sha256)| Stands { name, version, directory_sha256 };

    Standing {
        catalogue: document.catalogue.clone(),
        audience: document.audience.clone(),
        version: document.version,
        sha256: manifest.sha256().to_owned(),
        key_id: manifest.key_id().to_owned(),
        applied_at: state.applied_at,
        expires_at: document.expires_at,
        plugins: plugins.into_iter().map(stands).collect(),
        skills: document.skills.len(),
        agents: document.agents.len(),
        managed_mcp_servers: document.managed_mcp_servers.len(),
    }
}

/// Can others than the system write the folder of plugins, or put another in its place? `scratch` is a folder of one's own.
#[cfg(unix)]
pub fn writable(mount: &Path, _scratch: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    [Some(mount), mount.parent()].into_iter().flatten().find_map(|path| {
        let about = std::fs::metadata(path).ok()?;
        // Above, a sticky folder lets nobody replace what is another's; in the folder itself all may put something.
        let is_sticky = about.mode() & 0o1000 != 0 && path != mount;
        let open = about.mode() & 0o022 != 0 && !is_sticky;
        let owner = about.uid();
        let foreign = owner != 0 && owner != rustix::process::geteuid().as_raw();
        let why = if open { "others can write it" } else { "the system does not own it" };

        (open || foreign).then(|| told(path, why))
    })
}

/// On Windows, by their access control lists. Owners are not looked at.
#[cfg(windows)]
pub fn writable(mount: &Path, scratch: &Path) -> Option<String> {
    [Some(mount), mount.parent()]
        .into_iter()
        .flatten()
        .find_map(|path| crate::sync::acl::fault(path, scratch).map(|why| told(path, &why)))
}

#[cfg(not(any(unix, windows)))]
pub fn writable(_mount: &Path, _scratch: &Path) -> Option<String> {
    None
}

#[cfg(any(unix, windows))]
fn told(path: &Path, why: &str) -> String {
    format!("{}: {why}: what stands there can be changed between two runs", path.display())
}
