//! Providers behind lanes: the shipped templates, under other names.

use crate::provider::Provider;
use crate::provider::clouds::Cloud;
use crate::world::certificates::{self, Authority};
use crate::world::processes::repository;
use anyhow::{Context, Result};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

pub mod shipped;
pub mod completes;

use completes::Completes;
use shipped::Shipped;

/// A lane to a stand-in of its own: one that speaks the Messages API, unless it is a shipped one.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Its name, and its provider's in scripts.
    pub name: &'static str,
    /// Where it serves, and the one zone it serves.
    pub region: &'static str,
    /// Is it left alone after three failures, as it is shipped? Tests that share a world must not meet there.
    pub ejects: bool,
    /// More members of the lane's configuration, each with a comma before it.
    pub more: String,
    /// Another template than `anthropic`, with a stand-in for its provider; name and region are its own.
    pub shipped: Option<Shipped>,
    /// The same for chat completions.
    pub completes: Option<Completes>,
}

/// A lane and the provider behind it.
#[derive(Debug)]
pub struct Behind {
    /// The lane's name.
    pub name: &'static str,
    /// The provider.
    pub stand_in: StandIn,
}

/// Who stands in for a provider.
#[derive(Debug)]
pub enum StandIn {
    /// One of the Messages API.
    Messages(Provider),
    /// A cloud.
    Cloud(Cloud),
}

impl StandIn {
    /// Where it listens.
    pub fn port(&self) -> u16 {
        match self {
            Self::Messages(provider) => provider.address.port(),
            Self::Cloud(cloud) => cloud.address.port(),
        }
    }

    /// What must never have arrived, and did.
    pub fn violations(&self) -> Vec<String> {
        match self {
            Self::Messages(provider) => provider.violations(),
            Self::Cloud(cloud) => cloud.violations(),
        }
    }
}

impl Lane {
    /// One of this name.
    pub fn new(name: &'static str, region: &'static str) -> Self {
        Self { name, region, ejects: false, more: String::new(), shipped: None, completes: None }
    }

    /// One of a shipped template.
    pub fn shipped(shipped: Shipped) -> Self {
        let lane = Self::new(shipped.folder, "us");

        Self { shipped: Some(shipped), ..lane }
    }

    /// One of a template for chat completions.
    pub fn completes(completes: Completes) -> Self {
        let lane = Self::new(completes.folder, "us");

        Self { completes: Some(completes), ..lane }
    }

    /// The provider's host.
    pub fn host(&self) -> String {
        format!("{}.example", self.name)
    }

    /// The provider's key.
    pub fn key(&self) -> String {
        format!("sk-e2e-{}", self.name)
    }

    /// Starts the provider.
    pub async fn start(&self, authority: &Authority) -> Result<Behind> {
        if let Some(shipped) = &self.shipped {
            let stand_in = StandIn::Cloud(shipped.start(authority).await?);
            return Ok(Behind { name: self.name, stand_in });
        }
        if let Some(completes) = &self.completes {
            let stand_in = StandIn::Messages(completes.start(authority).await?);
            return Ok(Behind { name: self.name, stand_in });
        }
        let certificate = authority.certify(&[&self.host()])?;
        let tls = certificates::server(certificate.cert.as_bytes(), certificate.key.as_bytes())?;
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let (host, key) = (self.host(), self.key());
        let provider = Provider::start_as(self.name, &host, listen, &key, Some(tls)).await?;

        Ok(Behind { name: self.name, stand_in: StandIn::Messages(provider) })
    }

    fn listener(&self) -> Result<String> {
        if let Some(shipped) = &self.shipped {
            return shipped.listener();
        }
        if let Some(completes) = &self.completes {
            return completes.listener();
        }
        let from =
            r#""name": "anthropic", "provider": "anthropic", "region": "us", "zones": ["us"]"#;
        let Self { name, region, more, .. } = self;
        let to = format!(
            r#""name": "{name}", "provider": "anthropic", "region": "{region}", "zones": ["{region}"]{more}"#
        );

        Ok(template("lanes.yaml")?
            .replace("lane_anthropic", &format!("lane_{name}"))
            .replace("cluster: anthropic, ", &format!("cluster: provider_{name}, "))
            .replace("api.anthropic.com", &self.host())
            .replace(from, &to))
    }

    fn clusters(&self, port: u16, shipped: &str) -> Result<String> {
        if let Some(template) = &self.shipped {
            return Ok(format!("\n{}\n", template.clusters(port, self.ejects)?));
        }
        if let Some(template) = &self.completes {
            return Ok(format!("\n{}\n", template.clusters(port, self.ejects)?));
        }
        let Self { name, region, .. } = self;
        let lane = template("clusters.yaml")?
            .replace("lane_anthropic", &format!("lane_{name}"))
            .replace("region: us, zones: [us]", &format!("region: {region}, zones: [{region}]"));
        let lane = if self.ejects { lane } else { unejected(&lane) };
        let start = shipped.find("- \"@type\"").context("a first cluster")?;
        let end = shipped.find("\n# The sidecar's").context("a second cluster")?;
        let own = shipped.get(start..end).context("a cluster")?;
        let own = own
            .replace(
                "{address: api.anthropic.com, port_value: 443}",
                &format!("{{address: 127.0.0.1, port_value: {port}}}"),
            )
            .replace("api.anthropic.com", &self.host())
            .replace("/etc/ssl/certs/ca-certificates.crt", "tls/ca.pem")
            .replace("cluster_name: anthropic", &format!("cluster_name: provider_{name}"))
            .replacen("name: anthropic", &format!("name: provider_{name}"), 1)
            .replace("name: anthropic", &format!("name: {name}"))
            .replace("secrets/anthropic.yaml", &format!("secrets/{name}.yaml"));

        Ok(format!("\n{lane}\n{own}\n"))
    }

    fn write_secrets(&self, run: &Path) -> Result<()> {
        if let Some(shipped) = &self.shipped {
            return shipped.write_secrets(run);
        }
        if let Some(completes) = &self.completes {
            return completes.write_secrets(run);
        }
        let shipped = fs::read_to_string(repository().join("envoy/secrets/anthropic.yaml"))?;

        let text = shipped
            .replace("name: anthropic", &format!("name: {}", self.name))
            .replace("ANTHROPIC_API_KEY", &self.key());

        Ok(fs::write(run.join(format!("secrets/{}.yaml", self.name)), text)?)
    }
}

/// A lane's clusters without what ejects it: the comment and the line.
fn unejected(clusters: &str) -> String {
    let kept = |line: &&str| {
        !line.starts_with("  # A lane's own listener") && !line.starts_with("  outlier_detection:")
    };

    clusters.lines().filter(kept).flat_map(|line| [line, "\n"]).collect()
}

fn template(file: &str) -> Result<String> {
    Ok(fs::read_to_string(repository().join("envoy/providers/anthropic").join(file))?)
}

/// Appends lanes to the files of Envoy's directory, and an aggregate of all, `models`, in this order.
pub fn append(run: &Path, lanes: &[Lane], behind: &[Behind]) -> Result<()> {
    if lanes.is_empty() {
        return Ok(());
    }
    let shipped = fs::read_to_string(repository().join("envoy/clusters.yaml"))?;
    let (mut listeners, mut clusters) =
        (String::from("resources:\n"), fs::read_to_string(run.join("clusters.yaml"))?);
    for (lane, behind) in lanes.iter().zip(behind) {
        listeners.push_str(&lane.listener()?);
        clusters.push_str(&lane.clusters(behind.stand_in.port(), &shipped)?);
        lane.write_secrets(run)?;
    }
    let members: Vec<_> = lanes.iter().map(|lane| format!("lane_{}", lane.name)).collect();
    let zones: Vec<_> = lanes.iter().map(|lane| lane.region).collect();
    clusters.push_str(&aggregate("models", &members, &zones));
    fs::write(run.join("lanes.yaml"), listeners)?;

    Ok(fs::write(run.join("clusters.yaml"), clusters)?)
}

/// A cluster that asks these in their order.
pub fn aggregate(name: &str, members: &[String], zones: &[&str]) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {name}
  metadata: {{filter_metadata: {{tollgate: {{provider: several, zones: [{}]}}}}}}
  connect_timeout: 1s
  lb_policy: CLUSTER_PROVIDED
  cluster_type:
    name: envoy.clusters.aggregate
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig
      clusters: [{}]
"#,
        zones.join(", "),
        members.join(", ")
    )
}

/// What each route to lanes says of the call, as the shipped ones do.
const BOUNDARY: &str = r#"      typed_per_filter_config:
        boundary:
          "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute
          mutations:
            request_mutations:
            - append:
                header: {key: tollgate-lane, value: "%REQ(x-tollgate-exchange)%;%REQ(x-tollgate-residency)%"}
                append_action: OVERWRITE_IF_EXISTS_OR_ADD
"#;

/// Routes to single lanes, each for one model, before all others.
pub fn by_model(of: &[(&str, &str)]) -> String {
    let route = |(model, lane): &(&str, &str)| {
        format!(
            r"    - name: to_{lane}
      match: {{prefix: /v1/messages, headers: [{{name: x-tollgate-surface, present_match: true}}, {{name: x-tollgate-model, string_match: {{exact: {model}}}}}]}}
      route: {{cluster: lane_{lane}, timeout: 0s, idle_timeout: 900s}}
{BOUNDARY}"
        )
    };

    of.iter().map(route).collect()
}

/// What a route to lanes says, in the place of the shipped one's action.
pub fn route(cluster: &str, retries: usize, first_byte: &str) -> String {
    format!(
        r#"route: &anthropic
        cluster: {cluster}
        timeout: 0s
        idle_timeout: 900s
        retry_policy:
          retry_on: "5xx,retriable-status-codes,reset,connect-failure,refused-stream"
          retriable_status_codes: [401, 403, 404, 429]
          num_retries: {retries}
          per_try_timeout: {first_byte}
          retry_back_off: {{base_interval: 0.005s, max_interval: 0.010s}}
          retry_priority:
            name: envoy.retry_priorities.previous_priorities
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig
              update_frequency: 1
{BOUNDARY}    - name: unused
      match: {{path: /unused}}
      route:
        cluster: anthropic"#
    )
}
