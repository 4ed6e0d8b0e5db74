//! One suite for both databases.

use super::*;
use crate::clock;
use crate::operators::operator::Operator;
use crate::settings::Postgres;
use contract::audit::{Content, ContentMode, Outcome, Part, Sequence as Number, Text, ToolUse};
use contract::envelope::hex;
use contract::standing::{Effect, Kind};
use std::fmt::Write;

mod approvals;
mod chains;
mod claims;
mod devices;
mod directories;
mod envoys;
mod fleet;
mod lineages;
mod manifests;
mod mcp;
mod measures;
mod persons;
mod policies;
mod rows;
mod scopes;
mod sessions;
mod verifies;

macro_rules! on {
    ($self:expr, $db:ident => $call:expr) => {
        match $self {
            Store::Sqlite($db) => $call,
            Store::Postgres($db) => $call,
        }
    };
}

/// A store of its own for a test, and where its files are.
struct Bench {
    data: Data,
    store: Store,
    _place: tempfile::TempDir,
}

impl Bench {
    async fn sqlite() -> Self {
        Self::at(None).await
    }

    async fn postgres() -> Self {
        let url = cluster::shared().unwrap().database().unwrap();
        Self::at(Some(Postgres { url, read_url: None })).await
    }

    async fn at(postgres: Option<Postgres>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path()).with_postgres(postgres);
        let store = Store::create(&data).await.unwrap();
        Self { data, store, _place: place }
    }

    /// Another sidecar: on Postgres with a data directory, and a key, of its own.
    async fn beside(&self) -> Self {
        let place = tempfile::tempdir().unwrap();
        let data = match self.data.postgres() {
            Some(postgres) => Data::new(place.path()).with_postgres(Some(postgres.clone())),
            None => self.data.clone(),
        };
        let store = Store::create(&data).await.unwrap();
        Self { data, store, _place: place }
    }

    /// Something behind the store's back.
    async fn sql(&self, sql: &str) -> Result<(), sqlx::Error> {
        on!(&self.store, db => db.raw(sql).await)
    }

    /// As one who owns the database can.
    async fn forced(&self, sql: &str) {
        let (off, on) = match self.store {
            Store::Sqlite(_) => {
                ("DROP TRIGGER audit_events_no_update; DROP TRIGGER audit_events_no_delete", "")
            }
            Store::Postgres(_) => (
                "ALTER TABLE audit_events DISABLE TRIGGER USER",
                "ALTER TABLE audit_events ENABLE TRIGGER USER",
            ),
        };
        let mut all = String::new();
        write!(all, "{off}; {sql}; {on}").unwrap();
        self.sql(&all).await.unwrap();
    }
}

/// The same test on both databases.
macro_rules! both {
    ($($(#[$about:meta])* async fn $name:ident($bench:ident: Bench) $body:block)+) => {$(
        $(#[$about])*
        mod $name {
            use super::*;

            async fn test($bench: Bench) $body

            #[tokio::test]
            async fn sqlite() {
                test(Bench::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                test(Bench::postgres().await).await;
            }
        }
    )+};
}
use both;

fn event(id: &str, at: u64) -> Event<'static> {
    Event {
        event_id: id.to_owned().into(),
        occurred_at: at,
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        trace_id: Some("t1".into()),
        gate_ms: Some(0.125),
        status: Some(200),
        outcome: Outcome::Allowed,
        complete: true,
        ..Event::default()
    }
}

fn act() -> Act {
    Act::new(&Operator::owner(), "test").unwrap()
}

fn all() -> Filter {
    Filter { limit: 10_000, ..Filter::default() }
}

async fn ids(store: &Store, filter: Filter) -> Vec<String> {
    let rows = store.rows(&filter).await.unwrap();
    rows.iter().map(|row| row.text("event_id")).collect()
}
