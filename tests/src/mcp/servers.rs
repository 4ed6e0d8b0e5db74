//! Real MCP servers of others, as processes that end with the test. They need no network.

use crate::world::ports;
use crate::world::processes::{self, Process, prepared, repository};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How long one may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running one. It ends when this is dropped, and with the tests.
#[derive(Debug)]
pub struct RealServer {
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
    _process: Process,
}

impl RealServer {
    /// `@modelcontextprotocol/server-everything`: the era of sessions, always streams, asks clients things itself.
    /// It listens on all interfaces, and cannot be told otherwise.
    pub async fn everything() -> Result<Self> {
        let node = prepared("--node-folder")?.join("node");
        let modules = prepared("--mcp-modules")?.join("node_modules");
        let script = modules.join("@modelcontextprotocol/server-everything/dist/index.js");
        let script = script.display().to_string();
        let port = ports::port()?;
        let variable = format!("PORT={}", port.port());
        let arguments = [&variable, &node.display().to_string(), &script, "streamableHttp"];

        Self::start("everything", port, "env", &arguments).await
    }

    /// `mcp-server-time`, made with the SDK's 2.x: both eras. It is local, and wants to be called so (`host`).
    pub async fn time() -> Result<Self> {
        let python = prepared("--mcp-python")?.display().to_string();
        let script = repository().join("tests/mcp/time_server.py").display().to_string();
        let port = ports::port()?;

        Self::start("time", port, &python, &[&script, &port.port().to_string()]).await
    }

    async fn start(
        name: &str,
        address: SocketAddr,
        program: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        let place = processes::place(&format!("mcp-{name}"))?;
        let log = place.join(format!("logs/{name}.log"));
        let process = Process::start(program.as_ref(), arguments, &place, &log)?;
        let server = Self { address, log, _process: process };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if Instant::now() > end {
                bail!("no MCP server {name}: tools/prepare --tests?\n{}", server.log());
            }
            sleep(Duration::from_millis(30)).await;
        }

        Ok(server)
    }

    /// Its address for clients that speak with it directly.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log)
            .with_context(|| self.log.display().to_string())
            .unwrap_or_default()
    }
}
