//! What a security team publishes, and laptops that get it: the real `tollgate manifest`, the real helper.

pub mod evil;

use crate::identity::laptop::Laptop;
use crate::world::World;
use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::manifest::sha256;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A catalogue, as its authors write it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Its members; JSON is YAML too.
    pub text: Value,
    files: BTreeMap<String, Vec<u8>>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalogue {
    /// One without anything.
    pub fn new() -> Self {
        let text = json!({
            "schema": contract::manifest::INDEX_SCHEMA, "name": "acme", "valid_for": "14d",
            "gateway": "https://gateway.example.com", "plugins": [], "audiences": [],
        });

        Self { text, files: BTreeMap::new() }
    }

    /// With a plugin of these files.
    pub fn plugin(mut self, name: &str, files: &[(&str, &[u8])]) -> Self {
        let about = json!({ "name": name, "version": "1.0.0", "description": name });
        self.file(&format!("{name}/.claude-plugin/plugin.json"), about.to_string().as_bytes());
        for (path, bytes) in files {
            self.file(&format!("{name}/{path}"), bytes);
        }
        self.list("plugins").push(json!({ "path": name, "installation": "required" }));

        self
    }

    /// With an audience of a department; of everybody without one.
    pub fn audience(mut self, name: &str, department: Option<&str>, plugins: &[&str]) -> Self {
        let mut audience = json!({ "name": name, "plugins": plugins });
        if let Some(department) = department {
            audience["who"] = json!({ "departments": [department] });
        }
        self.list("audiences").push(audience);

        self
    }

    /// With another text in one of its plugins.
    pub fn plugin_edition(mut self, name: &str) -> Self {
        self.file(&format!("{name}/EDITION.md"), b"another");

        self
    }

    fn list(&mut self, member: &str) -> &mut Vec<Value> {
        self.text[member].as_array_mut().expect("a list")
    }

    fn file(&mut self, path: &str, bytes: &[u8]) {
        self.files.insert(path.to_owned(), bytes.to_vec());
    }
}

/// Where a catalogue stands, and what is made of it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn new(place: &Path) -> Result<Self> {
        fs::create_dir_all(place)?;

        Ok(Self(place.to_owned()))
    }

    /// Builds, signs and publishes it, as on a small installation; what `publish` says.
    pub fn publish(&self, world: &World, catalogue: &Catalogue, version: u32) -> Result<Value> {
        let out = self.sign(world, catalogue, version)?;

        Ok(serde_json::from_str(&world.tollgate(&["manifest", "publish", &out, "--json"])?)?)
    }

    /// Builds and signs it: the folder of what could be published.
    pub fn sign(&self, world: &World, catalogue: &Catalogue, version: u32) -> Result<String> {
        let place = self.0.join(format!("v{version}"));
        for (path, bytes) in &catalogue.files {
            let path = place.join(path);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(path, bytes)?;
        }
        let file = place.join("catalogue.yaml").display().to_string();
        fs::write(&file, catalogue.text.to_string())?;
        let (out, number) = (self.0.join(format!("out-{version}")), version.to_string());
        let out = out.display().to_string();
        world.tollgate(&["manifest", "build", &file, "--out", &out, "--version", &number])?;
        world.tollgate(&["manifest", "sign", &out])?;

        Ok(out)
    }
}

/// The signed bytes in an envelope.
pub fn payload(envelope: &Value) -> Result<Vec<u8>> {
    Ok(BASE64_STANDARD.decode(envelope["payload"].as_str().context("no payload")?)?)
}

/// A laptop whose plugins are the helper's to keep.
#[derive(Debug)]
pub struct Machine {
    laptop: Laptop,
    root: PathBuf,
}

impl Machine {
    /// Installs the helper with these pins, below a folder of its own.
    pub fn install(world: &World, name: &str, further: &[&str]) -> Result<Self> {
        let root = world.place.join(format!("{name}-root"));
        fs::create_dir_all(&root)?;
        let laptop =
            Laptop::new(world, name).with("TOLLGATE_HELPER_ROOT", &root.display().to_string());
        let pin = world.place.join("data/keys/manifest/manifest.pub").display().to_string();
        let below = root.display().to_string();
        let machine = Self { laptop, root };
        let install = ["install", "--root", &below, "--pin", &pin];
        let installed = machine.laptop.run(&[&install, further].concat(), "")?;
        ensure!(installed.status.success(), "{}", told(&installed));

        Ok(machine)
    }

    /// From now on this is its gateway.
    pub fn moved(mut self, gateway: &str) -> Self {
        self.laptop = self.laptop.at(gateway);

        self
    }

    /// Somebody signs in with a personal access token.
    pub fn person(self, pat: &str) -> Result<Self> {
        let kept = self.laptop.login_with_pat(pat)?;
        ensure!(kept.status.success(), "{}", told(&kept));

        Ok(self)
    }

    /// One command of `sync`.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.laptop.run(&[&["sync"], arguments].concat(), "")
    }

    /// Both halves, one after the other.
    pub fn sync(&self) -> Result<(Output, Output)> {
        Ok((self.run(&["fetch", "--wait", "0"])?, self.run(&["apply"])?))
    }

    /// The folder of plugins.
    pub fn mount(&self) -> PathBuf {
        self.root.join("opt/claude/org-plugins")
    }

    /// Everything below the folder of plugins but what is no plugin: each file's digest, by its path.
    pub fn plugins(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        walk(&self.mount(), "", &mut files);

        files
    }

    /// The names of the plugins that stand there.
    pub fn names(&self) -> Vec<String> {
        let plugins = self.plugins();
        let mut names: Vec<String> =
            plugins.keys().filter_map(|path| path.split('/').next()).map(Into::into).collect();
        names.dedup();

        names
    }

    /// `last-sync.json`.
    pub fn last(&self) -> Result<Value> {
        let text = fs::read_to_string(self.mount().join(".tollgate/last-sync.json"))?;

        Ok(serde_json::from_str(&text)?)
    }
}

fn walk(folder: &Path, path: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_empty() && (name == ".tollgate" || name == ".staging") {
            continue;
        }
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        match fs::symlink_metadata(entry.path()) {
            Ok(about) if about.is_dir() => walk(&entry.path(), &path, files),
            Ok(about) if about.is_symlink() => {
                files.insert(path, "a link".into());
            }
            _ => {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                files.insert(path, sha256(&bytes));
            }
        }
    }
}

/// What a run of the helper said.
pub fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    format!("{} {} {}", output.status, text(&output.stdout), text(&output.stderr))
}
