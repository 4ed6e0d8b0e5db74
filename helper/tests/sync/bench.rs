//! A laptop's folders, and the security team that signs for it.

use contract::clients::Choice;
use contract::envelope::{PinnedKey, seal};
use contract::manifest::{
    Archive, Document, File, Installation, Kind, LastSync, MANIFEST_TYPE, ManagedServer, OnExpiry,
    Plugin, Revocation, SCHEMA, SyncResult, Transport, sha256,
};
use ed25519_compact::{KeyPair, Seed};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tollgate_helper::sync::apply::{Outcome, Run};
use tollgate_helper::sync::disk::Disk;
use tollgate_helper::sync::places::{Member, Os, Settings};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) const NOW: u64 = 1_790_000_000;
pub(crate) const DAY: u64 = 86_400;

/// Files by their path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([seed; 32]))
}

pub(crate) fn pin(id: &str, seed: u8) -> PinnedKey {
    use base64::Engine;

    let public_key = base64::prelude::BASE64_STANDARD.encode(key(seed).pk.as_ref());
    PinnedKey { key_id: id.into(), public_key }
}

/// A document in the making, with the archives it names.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) document: Document,
    pub(crate) archives: BTreeMap<String, Vec<u8>>,
    pub(crate) key: (&'static str, u8),
    pub(crate) kind: &'static str,
    pub(crate) files: Files,
}

impl Release {
    pub(crate) fn new(version: u64) -> Self {
        let search = ManagedServer {
            id: "search".into(),
            transport: Transport::Http,
            url: Some("https://gateway.example/mcp/search".into()),
            command: None,
            args: vec![],
            tool_policy: [("*".to_owned(), Choice::Blocked)].into(),
        };
        let document = Document {
            schema: SCHEMA.into(),
            catalogue: "acme".into(),
            audience: "finance".into(),
            version,
            issued_at: NOW - DAY + version,
            expires_at: NOW + DAY,
            on_expiry: OnExpiry::Keep,
            plugins: vec![],
            skills: vec![],
            agents: vec![],
            managed_mcp_servers: vec![search],
            revocations: vec![],
        };
        let (archives, files) = (BTreeMap::new(), Files::new());
        Self { document, archives, key: ("security", 7), kind: MANIFEST_TYPE, files }
    }

    /// With a plugin of these files.
    pub(crate) fn with(self, name: &str, files: &[(&str, &str)]) -> Self {
        let archive = zip(files);
        self.with_archive(name, files, archive)
    }

    /// The same, in an archive of its own.
    pub(crate) fn with_archive(
        mut self,
        name: &str,
        files: &[(&str, &str)],
        archive: Vec<u8>,
    ) -> Self {
        let mut listed: Vec<File> = files
            .iter()
            .map(|(path, text)| File {
                path: (*path).into(),
                sha256: sha256(text.as_bytes()),
                bytes: text.len() as u64,
                executable: path.starts_with("bin/"),
            })
            .collect();
        listed.sort_by(|one, other| one.path.cmp(&other.path));
        let digest = sha256(&archive);
        self.document.plugins.push(Plugin {
            name: name.into(),
            version: format!("1.0.{}", self.document.version),
            installation: Installation::Required,
            archive: Archive { sha256: digest.clone(), bytes: archive.len() as u64 },
            directory_sha256: Plugin::directory_digest(&listed).unwrap(),
            files: listed,
        });
        self.document.plugins.sort_by(|one, other| one.name.cmp(&other.name));
        self.archives.insert(digest, archive);
        for (path, text) in files {
            self.files.insert(format!("{name}/{path}"), text.as_bytes().to_vec());
        }
        self
    }

    /// A usual one: `acme` changes with each version, `base` never does.
    pub(crate) fn usual(version: u64) -> Self {
        let text = format!("{{\"version\":{version}}}");
        Self::new(version)
            .with("acme", &[(".claude-plugin/plugin.json", &text), ("skills/a/SKILL.md", "sort")])
            .with("base", &[(".claude-plugin/plugin.json", "{}"), ("bin/run.sh", "#!/bin/sh\n")])
    }

    pub(crate) fn audience(mut self, name: &str) -> Self {
        self.document.audience = name.into();
        self
    }

    pub(crate) fn revoking(mut self, kind: Kind, id: &str) -> Self {
        self.document.revocations.push(Revocation { kind, id: id.into(), reason: None });
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Document)) -> Self {
        change(&mut self.document);
        self
    }

    pub(crate) fn envelope(&self) -> Vec<u8> {
        let payload = self.document.canonical().unwrap();
        let (id, seed) = self.key;
        serde_json::to_vec(&seal(self.kind, &payload, id, &key(seed))).unwrap()
    }
}

/// An archive of these files.
pub(crate) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, text) in files {
        zip.start_file(*path, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A laptop's folders.
pub(crate) struct Bench {
    pub(crate) place: TempDir,
    pub(crate) settings: Settings,
    pub(crate) now: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(&Member::default())
    }

    pub(crate) fn with(member: &Member) -> Self {
        // In memory where there is such a place: each run brings everything to the disk.
        let memory = Path::new("/dev/shm");
        let place =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.unwrap();
        let settings = Settings::new(member, Os::HERE, Some(place.path()));
        fs::create_dir_all(&settings.inbox).unwrap();
        let bench = Self { place, settings, now: NOW };
        bench.pin(&[pin("security", 7)]);
        bench
    }

    /// On which version 5 stands.
    pub(crate) fn standing() -> (Self, Release) {
        let (bench, release) = (Self::new(), Release::usual(5));
        bench.applied(&release);
        (bench, release)
    }

    pub(crate) fn pin(&self, keys: &[PinnedKey]) {
        fs::create_dir_all(self.settings.pins.parent().unwrap()).unwrap();
        fs::write(&self.settings.pins, serde_json::to_vec(keys).unwrap()).unwrap();
        mode(&self.settings.pins, 0o644);
    }

    pub(crate) fn inbox(&self, user: &str) -> PathBuf {
        self.settings.inbox.join(user)
    }

    /// Lays a release into somebody's inbox.
    pub(crate) fn lay_for(&self, user: &str, release: &Release) {
        let archives = self.inbox(user).join("archives");
        fs::create_dir_all(&archives).unwrap();
        for (digest, bytes) in &release.archives {
            fs::write(archives.join(format!("{digest}.zip")), bytes).unwrap();
        }
        fs::write(self.inbox(user).join("manifest.json"), release.envelope()).unwrap();
    }

    pub(crate) fn lay(&self, release: &Release) {
        self.lay_for("1000", release);
    }

    pub(crate) fn run_on(&self, disk: &Disk) -> Outcome {
        self.try_on(disk).unwrap()
    }

    pub(crate) fn try_on(
        &self,
        disk: &Disk,
    ) -> Result<Outcome, tollgate_helper::sync::trouble::Trouble> {
        Run { settings: &self.settings, disk, now: self.now, dry_run: false }.run()
    }

    pub(crate) fn run(&self) -> Outcome {
        self.run_on(&Disk::default())
    }

    pub(crate) fn dry(&self) -> Outcome {
        let disk = Disk::watched(|step| panic!("a dry run writes: {step:?}"));
        Run { settings: &self.settings, disk: &disk, now: self.now, dry_run: true }.run().unwrap()
    }

    /// Lays a release down and puts it in place.
    pub(crate) fn applied(&self, release: &Release) -> LastSync {
        self.lay(release);
        let last = self.run().last;
        assert_eq!((last.result, last.code.as_deref()), (SyncResult::Applied, None), "{last:?}");
        self.stands(release);
        last
    }

    /// What a run that comes to nothing says; and that what stood there stands there.
    pub(crate) fn refused(&self, standing: &Release) -> LastSync {
        let last = self.run().last;
        assert_eq!(last.result, SyncResult::Failed, "{last:?}");
        self.stands(standing);
        assert!(!self.settings.mount.join(".staging").exists(), "staging is cleared");
        assert_eq!(self.last(), last);
        last
    }

    pub(crate) fn last(&self) -> LastSync {
        serde_json::from_slice(&fs::read(self.settings.last_sync()).unwrap()).unwrap()
    }

    /// This release stands, whole, and nothing else.
    pub(crate) fn stands(&self, release: &Release) {
        let live = self.live();
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&live), names(&release.files));
        assert!(live == release.files, "a file has another text");
        assert_eq!(fs::read(self.settings.standing()).unwrap(), release.envelope());
    }

    /// Every file of every plugin.
    pub(crate) fn live(&self) -> Files {
        let mut files = Files::new();
        if self.settings.mount.exists() {
            walk(&self.settings.mount, "", &mut files);
        }
        files
    }

    pub(crate) fn log(&self) -> Vec<serde_json::Value> {
        let path = self.settings.mount.join(".tollgate/sync.log.jsonl");
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a run warns of. That access control lists cannot be read is Wine's, which has none.
pub(crate) fn warnings(last: &LastSync) -> Vec<&String> {
    let of_wine =
        |text: &&String| cfg!(windows) && text.contains("who can write it cannot be read");

    last.warnings.iter().filter(|text| !of_wine(text)).collect()
}

fn walk(folder: &Path, above: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        if above.is_empty() && matches!(name.as_str(), ".tollgate" | ".staging") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{name}/"), files);
        } else if entry.file_type().unwrap().is_symlink() {
            files.insert(name, b"a link".to_vec());
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

#[cfg(unix)]
pub(crate) fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// There are none.
#[cfg(not(unix))]
pub(crate) fn mode(_path: &Path, _mode: u32) {}
