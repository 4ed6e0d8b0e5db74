//! A sidecar with sinks, and rows to send.

use crate::receiver::Asked;
use crate::world::{Fallible, Place, ask};
use contract::audit::Event;
use serde_json::{Value, json};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::time::sleep;
use tollgate::run::Sidecar;
use tollgate::settings::Postgres;
use tollgate::store::Store;

pub(crate) const TOKEN: &str = "the-secret-token";

pub(crate) struct Bench {
    pub(crate) place: Place,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) async fn sqlite() -> Fallible<Self> {
        Self::at(Place::new()?).await
    }

    pub(crate) async fn postgres() -> Fallible<Self> {
        let mut place = Place::new()?;
        let url = cluster::shared()?.database()?;
        place.data = place.data.with_postgres(Some(Postgres { url, read_url: None }));
        Self::at(place).await
    }

    async fn at(place: Place) -> Fallible<Self> {
        let store = Store::create(&place.data).await?;
        Ok(Self { place, store })
    }

    pub(crate) fn secret(&self, name: &str, text: &str) -> Fallible<String> {
        let path = self.place.directory.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path.display().to_string())
    }

    pub(crate) fn token(&self) -> Fallible<String> {
        self.secret("token", TOKEN)
    }

    pub(crate) async fn serve(&mut self, sinks: Value) -> Fallible<Sidecar> {
        let path = self.place.directory.path().join("siem.json");
        fs::write(&path, json!({ "sinks": sinks }).to_string())?;
        self.place.siem = Some(path);
        self.again().await
    }

    /// With the sinks of before.
    pub(crate) async fn again(&self) -> Fallible<Sidecar> {
        Ok(Sidecar::start(self.place.settings()).await?)
    }

    pub(crate) async fn append(&self, numbers: Range<u64>) -> Fallible {
        let events: Vec<_> = numbers.map(event).collect();
        self.store.append(&events, None).await?;
        Ok(())
    }

    pub(crate) fn dead_letters(&self, sink: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.place.data.dead_letters(sink)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn event(number: u64) -> Event<'static> {
    Event {
        event_id: id(number).into(),
        occurred_at: 1_763_730_000_000_000 + number,
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        status: Some(200),
        complete: true,
        ..Event::default()
    }
}

pub(crate) fn id(number: u64) -> String {
    format!("event-{number}")
}

pub(crate) fn ids(numbers: Range<u64>) -> Vec<String> {
    numbers.map(id).collect()
}

/// A sink that takes lines.
pub(crate) fn lines_to(url: &str) -> Value {
    json!({ "name": "a", "kind": "http", "encoding": "json_lines", "url": url,
            "batch": { "rows": 10 }, "timeout_seconds": 1 })
}

/// The ids in these requests, in their order, each where it came first.
pub(crate) fn seen<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for row in asked.into_iter().flat_map(Asked::lines) {
        let id = row.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !id.is_empty() && !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}

pub(crate) async fn metric(sidecar: &Sidecar, name: &str) -> Fallible<u64> {
    let text = ask(sidecar.addresses().operators, "GET", "/metrics", &[], "").await?.body;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.ok_or_else(|| format!("no metric {name} in {text}"))?.trim().parse()?)
}

/// Waits until a counter is that high.
pub(crate) async fn until(sidecar: &Sidecar, name: &str, least: u64) -> Fallible {
    for _ in 0..600 {
        if metric(sidecar, name).await? >= least {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{name} is {} after 30 s", metric(sidecar, name).await?).into())
}
