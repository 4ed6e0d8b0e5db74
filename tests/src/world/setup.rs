//! What a world is made from.

use serde_json::Value;

/// One change of a configuration file: `from` stands in it exactly once.
#[derive(Debug, Clone)]
pub struct Edit {
    /// The file, as it is named in `envoy/`.
    pub file: &'static str,
    /// What stands there.
    pub from: String,
    /// What shall stand there.
    pub to: String,
}

/// The choices.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The suite's name; the world's directory begins with it.
    pub name: &'static str,
    /// Envoy's workers.
    pub concurrency: u32,
    /// The oldest Envoy that the configuration promises to run on, instead of the pinned one.
    pub oldest: bool,
    /// The module in `target/wasm`, without its ending.
    pub module: &'static str,
    /// Does the sidecar run from the beginning?
    pub sidecar: bool,
    /// Somebody else's ingress with `envoy/drop-in` in it, instead of our Envoy.
    pub foreign: bool,
    /// The policy in force.
    pub policy: Value,
    /// The Postgres that the sidecar stores in, instead of a file.
    pub database: Option<String>,
    /// Changes of the shipped configuration.
    pub edits: Vec<Edit>,
}

impl Setup {
    /// One worker, everything as shipped.
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            concurrency: 1,
            oldest: false,
            module: "tollgate_filter",
            sidecar: true,
            foreign: false,
            policy: crate::world::policy(),
            database: None,
            edits: Vec::new(),
        }
    }

    /// With one more change of a configuration file.
    pub fn edit(mut self, file: &'static str, from: &str, to: &str) -> Self {
        self.edits.push(Edit { file, from: from.to_owned(), to: to.to_owned() });
        self
    }
}
