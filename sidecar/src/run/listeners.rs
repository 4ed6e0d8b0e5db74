//! What a sidecar listens on.

use super::Addresses;
use crate::settings::Settings;
use anyhow::{Context, Result};
use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

/// What listens.
pub(super) struct Listeners {
    /// Sign-in and key set.
    pub(super) public: TcpListener,
    /// The gate's documents and the access log.
    pub(super) gate: TcpListener,
    /// Health and metrics.
    pub(super) operators: TcpListener,
}

impl Listeners {
    /// Binds all three.
    pub(super) async fn open(settings: &Settings) -> Result<(Self, Addresses)> {
        let public = listen(settings.public, "public").await?;
        let gate = listen(settings.gate, "gate").await?;
        let operators = listen(settings.operators, "operators").await?;
        let addresses = Addresses {
            public: public.local_addr()?,
            gate: gate.local_addr()?,
            operators: operators.local_addr()?,
        };

        Ok((Self { public, gate, operators }, addresses))
    }
}

async fn listen(address: SocketAddr, name: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} is not free for the {name} listener; --{name} chooses another")
    })
}

/// Answers until the sidecar drains.
pub(super) async fn answer(
    listener: TcpListener,
    routes: Router,
    mut draining: watch::Receiver<bool>,
) {
    let stop = async move {
        // A sender that is gone means the same as one that says so.
        let _told = draining.wait_for(|draining| *draining).await;
    };
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stop).await {
        warn!(error = %error, "A listener ended");
    }
}
