//! Approvals: an agent asks, a person decides, and exactly that call passes the gate, once.
//!
//! The agent asks at our own MCP server ([`mcp`], [`tools`]), whoever it acts for is known by the token
//! ([`asker`]); channels are told by webhooks ([`config`], [`shapes`], [`post`]); a person of whom the signed policy
//! says that they may ([`terms`]) decides on a page ([`page`]), or an operator by a command ([`command`]); both by
//! the same few lines ([`decide`]). The gate then asks once whether this call was approved ([`crate::gate`]).

pub mod asker;
pub mod command;
pub mod config;
pub mod decide;
pub mod mcp;
pub mod page;
pub mod post;
pub mod shapes;
pub mod terms;
pub mod tools;
pub mod visible;
pub mod wait;

use crate::settings::Settings;
use crate::sign_in::SignIn;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

/// Longest body of a question to the MCP server, in bytes.
pub const LARGEST: usize = 64 * 1024; // 64 KiB

/// Longest form that a page sends.
const LARGEST_FORM: usize = 8 * 1024;

/// The MCP server's path.
pub const PATH: &str = "/mcp/approvals";

/// What approvals need.
#[derive(Debug, Clone)]
pub struct Approvals {
    /// Store, keys, policy, the providers that people sign in at.
    pub sign_in: SignIn,
    /// The channels, by name.
    pub webhooks: Arc<[config::Webhook]>,
    /// Who waits.
    pub waits: Arc<wait::Waits>,
    /// Does the sidecar stop?
    pub draining: watch::Receiver<bool>,
}

impl Approvals {
    /// Reads the file of `--approvals`, and begins to tell channels.
    ///
    /// # Errors
    /// What is wrong with the file, or with those that it names.
    pub fn start(
        sign_in: &SignIn,
        settings: &Settings,
        draining: &watch::Receiver<bool>,
        watching: &mut JoinSet<()>,
    ) -> Result<Self> {
        let webhooks: Arc<[config::Webhook]> = match &settings.approvals {
            Some(path) => config::read(path)?.into(),
            None => Arc::default(),
        };
        let approvals = Self {
            sign_in: sign_in.clone(),
            webhooks,
            waits: Arc::default(),
            draining: draining.clone(),
        };
        if !approvals.webhooks.is_empty() {
            approvals.public().context(
                "webhooks lead people to a page: --identity must name public_url and a provider",
            )?;
            let poster = post::Poster::new(&approvals).context("webhooks cannot be called")?;
            watching.spawn(poster.run());
        }

        Ok(approvals)
    }

    /// Where people reach the gateway, if they can sign in there.
    pub fn public(&self) -> Option<&Url> {
        self.sign_in.sessions.as_ref().map(|sessions| &sessions.public)
    }

    /// Its paths on the public listener.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new()
            .route(PATH, any(mcp::answer).layer(DefaultBodyLimit::max(LARGEST)))
            .route(
                "/approvals/{id}",
                get(page::show).post(page::decide).layer(DefaultBodyLimit::max(LARGEST_FORM)),
            )
            .with_state(self)
    }
}
