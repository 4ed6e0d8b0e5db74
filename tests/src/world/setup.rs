//! What a world is made from.

use super::World;
use super::lanes::{self, Lane};
use anyhow::Result;
use serde_json::Value;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Another gateway of the same installation: the same keys and policy, and people in one database.
#[derive(Debug, Clone)]
pub struct Twin {
    data: PathBuf,
    pat: String,
}

impl Twin {
    /// One beside this world, which has its database in Postgres.
    pub fn of(world: &World) -> Self {
        Self { data: world.place.join("data"), pat: world.pat.clone() }
    }

    /// Brings keys and policy as an operator would, but for the key that signs the audit table: each
    /// sidecar has its own. Returns Ann's personal access token.
    pub fn install(&self, data: &Path) -> Result<String> {
        DirBuilder::new().recursive(true).mode(0o700).create(data.join("keys/signing"))?;
        fs::copy(self.data.join("policy.dsse.json"), data.join("policy.dsse.json"))?;
        for folder in ["keys", "keys/signing"] {
            for entry in fs::read_dir(self.data.join(folder))?.flatten() {
                if entry.path().is_file() {
                    fs::copy(entry.path(), data.join(folder).join(entry.file_name()))?;
                }
            }
        }

        Ok(self.pat.clone())
    }
}

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
    /// Another world that this one is a second gateway of.
    pub beside: Option<Twin>,
    /// Changes of the shipped configuration.
    pub edits: Vec<Edit>,
    /// Lanes, each with a provider of its own, and an aggregate of them called `models`.
    pub lanes: Vec<Lane>,
    /// More files in the world's directory, by their paths there.
    pub files: Vec<(&'static str, String)>,
    /// More words of `tollgate serve`, which runs in the world's directory.
    pub serve: Vec<String>,
    /// `identity.yaml`; `GATEWAY` in it becomes the address that people reach the gateway at.
    pub identity: Option<String>,
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
            beside: None,
            edits: Vec::new(),
            lanes: Vec::new(),
            files: Vec::new(),
            serve: Vec::new(),
            identity: None,
        }
    }

    /// With one more file in the world's directory.
    pub fn file(mut self, path: &'static str, text: String) -> Self {
        self.files.push((path, text));
        self
    }

    /// With these lanes, all of which messages go to: one after the other, each given so long for its first byte.
    pub fn over_lanes(self, lanes: Vec<Lane>, first_byte: &str) -> Self {
        let route = lanes::route("models", lanes.len().saturating_sub(1), first_byte);

        Self { lanes, ..self }.edit(
            "routes.yaml",
            "route: &anthropic\n        cluster: anthropic",
            &route,
        )
    }

    /// With these lanes, each for one model.
    pub fn lanes_by_model(self, lanes: Vec<Lane>, models: &[&str]) -> Self {
        let of: Vec<_> = models.iter().copied().zip(lanes.iter().map(|lane| lane.name)).collect();
        let routes = format!("{}    - name: messages\n", lanes::by_model(&of));

        Self { lanes, ..self }.edit("routes.yaml", "    - name: messages\n", &routes)
    }

    /// With the certificates of this authority taken on the TLS front.
    pub fn devices_of(self, authority: &str) -> Self {
        let taken = "validation_context: {trusted_ca: {filename: ./tls/clients.pem}}";

        self.edit("secrets/clients.yaml", "validation_context: {}", taken)
            .file("run/tls/clients.pem", authority.to_owned())
    }

    /// With one more change of a configuration file.
    pub fn edit(mut self, file: &'static str, from: &str, to: &str) -> Self {
        self.edits.push(Edit { file, from: from.to_owned(), to: to.to_owned() });
        self
    }

    /// With one more cluster, for a provider on this port that speaks plain HTTP; what stands in Envoy's
    /// upstream filters for the shipped one stands there for this one.
    pub fn cluster(self, name: &str, metadata: &str, port: u16) -> Self {
        let text = format!(
            "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n  \
             name: {name}\n  metadata: {{filter_metadata: {{tollgate: {metadata}}}}}\n  \
             connect_timeout: 1s\n  \
             load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: \
             {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}\n{}",
            upstream()
        );

        self.clusters(&text)
    }

    /// With more clusters, as they stand in `clusters.yaml`.
    pub fn clusters(self, text: &str) -> Self {
        let next = "# The sidecar's public listener";

        self.edit("clusters.yaml", next, &format!("{text}{next}"))
    }

    /// With one more route before all others: its members, on one line each.
    pub fn route(self, lines: &[&str]) -> Self {
        let first = "    - name: messages\n";

        self.edit("routes.yaml", first, &format!("    - {}\n{first}", lines.join("\n      ")))
    }
}

/// The options of the shipped cluster's upstream, without its TLS.
pub fn upstream() -> String {
    let shipped = include_str!("../../../envoy/clusters.yaml");
    let filters = shipped
        .split_once("      http_filters:\n")
        .and_then(|(_, behind)| behind.split_once("  # One stream is one long request"))
        .map_or("", |(filters, _)| filters);
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

    format!(
        "  typed_extension_protocol_options:\n    {kind}:\n      \
         \"@type\": type.googleapis.com/{kind}\n      \
         explicit_http_config: {{http_protocol_options: {{}}}}\n      http_filters:\n{filters}"
    )
}
