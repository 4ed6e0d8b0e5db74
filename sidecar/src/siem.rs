//! The SIEM: every row of `audit_events` leaves as JSON that mirrors it, at least once, and in the
//! order in which its writer stored it.
//!
//! Each sink ([`config`]) is a task of its own ([`sink`]) that reads the table behind a cursor, sends
//! ([`http`], [`lines`]) what it read in the vendor's frame ([`item`], [`vendor`]), and moves the
//! cursor when the rows were acknowledged ([`answer`]). Nobody waits for it: it reads the table as
//! anybody does, and what it cannot send stays there.

use crate::counters::{self, Counters};
use crate::settings::Settings;
use crate::store::Store;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub mod address;
pub mod answer;
pub mod config;
pub mod http;
pub mod item;
pub mod lines;
mod members;
pub mod secret;
pub mod sink;
pub mod tls;
pub mod vendor;

/// Starts the sinks that the settings name.
///
/// # Errors
/// What is wrong with the file that names them, or with theirs.
pub fn start(
    settings: &Settings,
    store: &Store,
    counters: &Counters,
    draining: &watch::Receiver<bool>,
    served: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let Some(path) = &settings.siem else { return Ok(()) };
    let mut counts = Vec::new();
    let mut sinks = Vec::new();
    for config in config::read(path)? {
        let count = Arc::new(counters::Sink::new(&config.name));
        counts.push(Arc::clone(&count));
        sinks.push(sink::Sink::new(config, &settings.data, store.clone(), count)?);
    }
    counters.sinks.set(counts);
    for sink in sinks {
        served.spawn(sink.run(draining.clone()));
    }

    Ok(())
}
