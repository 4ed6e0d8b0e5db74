//! Can a host be reached from here? A connection, and TLS with its name checked.

use super::egress::Host;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::siem::tls;
use rustls::pki_types::ServerName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long one host has, from its name to the end of the handshake.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many are tried at a time.
const AT_ONCE: usize = 8;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// All is well.
    Well,
    /// It is not.
    Not(String),
}

impl Reached {
    /// Was it reached?
    pub fn is_well(&self) -> bool {
        *self == Self::Well
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("reached"),
            Self::Not(why) => f.write_str(why),
        }
    }
}

/// Tries each that is one host and no pattern.
///
/// # Errors
/// [`Failure::Refused`], if there is nobody to verify certificates with.
pub async fn all(
    hosts: &BTreeSet<Host>,
    authorities: Option<&Path>,
    screen: &mut Screen,
) -> Result<BTreeMap<Host, Reached>, Failure> {
    let connector =
        tls::connector(authorities).map_err(|error| Failure::Refused(error.to_string()))?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tried = JoinSet::new();
    for host in hosts.iter().filter(|host| host.is_one()).cloned() {
        let (connector, places) = (connector.clone(), Arc::clone(&places));
        tried.spawn(async move {
            let place = places.acquire_owned().await;
            let reached = match timeout(PATIENCE, one(&host, &connector)).await {
                Ok(Ok(())) => Reached::Well,
                Ok(Err(why)) => Reached::Not(why),
                Err(_elapsed) => Reached::Not(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            drop(place);
            (host, reached)
        });
    }
    let count = tried.len();
    let mut reached = BTreeMap::new();
    while let Some(done) = tried.join_next().await {
        let Ok((host, one)) = done else { continue };
        let number = reached.len().saturating_add(1);
        screen.say(&format!("{number}/{count} {}:{} {one}", host.name, host.port));
        reached.insert(host, one);
    }

    Ok(reached)
}

async fn one(host: &Host, connector: &TlsConnector) -> Result<(), String> {
    let name = host.name.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, host.port)).await.map_err(|error| error.to_string())?;
    if !host.tls {
        return Ok(());
    }
    let server = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let shaken = connector.connect(server, stream).await;

    shaken.map(drop).map_err(|error| format!("TLS: {error}"))
}
