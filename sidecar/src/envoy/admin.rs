//! What Envoy tells of itself: which version of each file it serves, and what it has refused.
//!
//! Envoy tells the `version_info` of a file again (`*.version_text`) when it has taken it, on its main thread; its workers
//! have been told by then, and do what they were told before the next turn of their loops. That each has turned since is
//! what the watchdog sees: a worker that does not for 200 ms is counted as a miss.

use super::files::Use;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long Envoy may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer, bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// What is asked for, as a regular expression of Envoy's.
const FILTER: &str =
    "/stats?filter=version_text|update_|watchdog_miss|warming|create_failure|concurrency";

/// What Envoy told at one moment.
#[derive(Debug, Clone, Default)]
pub struct Stats(BTreeMap<String, String>);

/// What Envoy serves of one subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// The version of what it took last.
    pub version: String,
    /// How often it read a file.
    pub attempts: u64,
    /// How often it refused what it read, or could not read it.
    pub refused: u64,
    /// When it took something last, Unix milliseconds.
    pub taken_at: u64,
}

impl Stats {
    /// Asks.
    ///
    /// # Errors
    /// A sentence.
    pub async fn ask(admin: SocketAddr) -> Result<Self, String> {
        let failed =
            |why: &dyn std::fmt::Display| format!("Envoy does not answer at {admin}: {why}");
        let body = match timeout(PATIENCE, get(admin)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_elapsed) => return Err(failed(&"it takes too long")),
        };

        Ok(Self::read(&String::from_utf8_lossy(&body)))
    }

    fn read(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(": "));

        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
                .collect(),
        )
    }

    /// A number; 0 where there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// What it serves of each subscription to a resource, by the beginning of its names; none where nobody subscribes.
    pub fn served(&self, what: Use, resource: &str) -> BTreeMap<String, Served> {
        let resource = resource.replace(':', "_");
        let is_one = |prefix: &str| match what {
            Use::Clusters => prefix == "cluster_manager.cds",
            Use::Listeners => prefix == "listener_manager.lds",
            Use::Routes => prefix.ends_with(&format!(".rds.{resource}")),
            Use::Secrets => {
                let name = format!("sds.{resource}");
                prefix == name || prefix.ends_with(&format!(".{name}"))
            }
            Use::Extensions => {
                prefix.starts_with("extension_config_discovery.")
                    && prefix.ends_with(&format!(".{resource}"))
            }
        };
        let prefixes = self.0.keys().filter_map(|name| name.strip_suffix(".version_text"));

        prefixes.filter(|prefix| is_one(prefix)).map(|it| (it.to_owned(), self.one(it))).collect()
    }

    fn one(&self, prefix: &str) -> Served {
        let number = |name: &str| self.number(&format!("{prefix}.{name}"));

        Served {
            version: self.0.get(&format!("{prefix}.version_text")).cloned().unwrap_or_default(),
            attempts: number("update_attempt"),
            refused: number("update_rejected").saturating_add(number("update_failure")),
            taken_at: number("update_time"),
        }
    }

    /// How many clusters and lanes are not ready yet.
    pub fn warming(&self) -> u64 {
        let lanes = self.number("listener_manager.total_listeners_warming");

        self.number("cluster_manager.warming_clusters").saturating_add(lanes)
    }

    /// Lanes that a worker could not take.
    pub fn lanes_failed(&self) -> u64 {
        self.number("listener_manager.listener_create_failure")
    }

    /// How often a worker did not turn in time.
    pub fn misses(&self) -> u64 {
        self.number("workers.watchdog_miss")
    }

    /// How many workers there are.
    pub fn workers(&self) -> u64 {
        self.number("server.concurrency")
    }
}

async fn get(admin: SocketAddr) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = axum::http::Request::builder()
        .uri(FILTER.replace('|', "%7C"))
        .header(axum::http::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("the answer was {}", response.status()).into());
    }

    Ok(Limited::new(response.into_body(), LARGEST).collect().await?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subscription_is_found_by_what_it_is_for() {
        let stats = Stats::read(
            "http.front.rds.front.version_text: \"v1\"\nhttp.front.rds.front.update_attempt: 3\n\
             http.front.rds.front.update_rejected: 1\nhttp.front.rds.front.update_failure: 1\n\
             sds.anthropic.version_text: \"\"\nother.sds.a.version_text: \"x\"\n\
             extension_config_discovery.http_filter.gate.version_text: \"g\"\n\
             cluster_manager.cds.version_text: \"c\"\n",
        );

        let front = stats.served(Use::Routes, "front").remove("http.front.rds.front").unwrap();
        assert_eq!((&*front.version, front.attempts, front.refused), ("v1", 3, 2));
        assert_eq!(stats.served(Use::Secrets, "anthropic").len(), 1);
        assert_eq!(stats.served(Use::Secrets, "a").len(), 1);
        assert_eq!(stats.served(Use::Extensions, "gate").len(), 1);
        assert_eq!(stats.served(Use::Clusters, "").len(), 1);
        assert!(stats.served(Use::Listeners, "").is_empty());
        assert!(stats.served(Use::Routes, "ront").is_empty());
    }
}
