//! Ports that nobody uses.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where everything listens.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Envoy's front with TLS.
    pub tls: SocketAddr,
    /// Envoy's front without.
    pub plain: SocketAddr,
    /// Envoy's admin listener.
    pub admin: SocketAddr,
    /// The sidecar's public listener.
    pub public: SocketAddr,
    /// The sidecar's listener for the gate.
    pub gate: SocketAddr,
    /// The sidecar's listener for operators.
    pub operators: SocketAddr,
    /// The provider.
    pub provider: SocketAddr,
}

impl Ports {
    /// Takes free ones.
    pub fn free(provider: SocketAddr) -> Result<Self> {
        Ok(Self {
            tls: port()?,
            plain: port()?,
            admin: port()?,
            public: port()?,
            gate: port()?,
            operators: port()?,
            provider,
        })
    }
}

/// A free port below those that the system gives to outgoing connections, so that none of these
/// takes it before its owner listens.
pub fn port() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 1000)?;
    (0..2000)
        .map(|_| {
            let nth = NEXT.fetch_add(1, Ordering::Relaxed);
            SocketAddr::from((Ipv4Addr::LOCALHOST, 12_000 + offset * 10 + nth % 2000))
        })
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free port between 12000 and 24000")
}
