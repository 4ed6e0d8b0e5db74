//! Where Envoy is: its directory, its admin listener, its binary.

use super::files::{BOOTSTRAP, Set};
use super::tree::Tree;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The directory of a candidate that is put in force without being named, in Envoy's directory.
pub const STAGED: &str = "staged";

/// Where Envoy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyPlace {
    /// The directory that Envoy runs in, with `envoy.yaml`.
    pub dir: PathBuf,
    /// Its admin listener; the one that `envoy.yaml` names, unless said.
    pub admin: Option<SocketAddr>,
    /// Its binary, which checks edits.
    pub bin: PathBuf,
}

impl EnvoyPlace {
    /// Where a candidate waits that nobody has to name.
    pub fn staged(&self) -> PathBuf {
        self.dir.join(STAGED)
    }

    /// Where Envoy is asked: what was said, or what its files say.
    ///
    /// # Errors
    /// A sentence.
    pub fn admin_of(&self, live: &Set) -> Result<SocketAddr, String> {
        if let Some(said) = self.admin {
            return Ok(said);
        }
        let wanted =
            || format!("{BOOTSTRAP} names no admin listener by address and port: --envoy-admin");
        let socket = live
            .tree(BOOTSTRAP)
            .and_then(|root| root.walk(&["admin", "address", "socket_address"]))
            .ok_or_else(wanted)?;
        let address = socket.get("address").and_then(Tree::text).ok_or_else(wanted)?;
        let port = socket.get("port_value").and_then(Tree::text).ok_or_else(wanted)?;
        let address = if matches!(address, "0.0.0.0" | "::") { "127.0.0.1" } else { address };

        format!("{address}:{port}").parse().map_err(|_bad| wanted())
    }
}
