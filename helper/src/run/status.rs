//! What is kept, without its secrets.

use super::{context, write};
use crate::cache::{self, Cached};
use crate::config::{Config, Keep};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::home::Home;
use crate::secret::Kind;
use crate::store::{Kept, Store};
use crate::sync::fetch::settings;
use crate::sync::record;
use crate::sync::status::summary;
use contract::manifest::LastSync;
use serde_json::json;
use std::fmt::Write as _;

/// Tells it.
///
/// # Errors
/// [`Failure`]; also if there is nothing to tell.
pub(super) fn status(home: &Home, as_json: bool) -> Result<(), Failure> {
    let config = Config::load(home)?;
    let gateway = config.gateway()?;
    let store = Store::new(home, config.store, context().may_open_a_browser());
    let session = store.read(Kind::Session, &gateway.url)?;
    let pat = store.read(Kind::Pat, &gateway.url)?;
    if session.is_none() && pat.is_none() && config.device_certificate.is_none() {
        return Err(Failure::LoggedOut);
    }
    let token = cache::read(home)?.filter(|kept| kept.serves(&gateway.url, None));
    let about = About { home, config: &config, gateway, session, pat, token };

    write(&if as_json { about.json() } else { about.text() })
}

struct About<'a> {
    home: &'a Home,
    config: &'a Config,
    gateway: &'a Gateway,
    session: Option<(Kept, Keep)>,
    pat: Option<(Kept, Keep)>,
    token: Option<Cached>,
}

impl About<'_> {
    /// The strongest of the two.
    fn strongest(&self) -> Option<&(Kept, Keep)> {
        self.session.as_ref().or(self.pat.as_ref())
    }

    fn device(&self) -> Option<String> {
        self.config.device_certificate.as_ref().map(|reference| reference.place().place())
    }

    /// How the last sync went, where one is installed.
    fn sync(&self) -> Option<LastSync> {
        record::read(&settings(self.config).ok()?.last_sync())
    }

    fn json(&self) -> String {
        let told = json!({
            "gateway": self.gateway.url,
            "gateway_from": self.config.gateway_from,
            "own_ca": self.gateway.ca.is_some(),
            "credential_id": self.strongest().map(|(kept, _)| kept.secret.id()),
            "session_id": self.session.as_ref().map(|(kept, _)| kept.secret.id()),
            "session_seconds_left": self.session.as_ref().and_then(|(kept, _)| left(kept)),
            "pat_id": self.pat.as_ref().map(|(kept, _)| kept.secret.id()),
            "device_certificate": self.device(),
            "store": self.strongest().map(|(_, keep)| keep),
            "token_seconds_left": self.token.as_ref().map_or(0, Cached::left),
            "token_by": self.token.as_ref().map(|token| token.mode),
            "form": self.config.form,
            "directory": self.home.root(),
            "sync": self.sync(),
        });

        format!("{told}\n")
    }

    fn text(&self) -> String {
        let mut text = format!("gateway    {}\n", self.gateway.url);
        let mut line = |name: &str, value: String| {
            let _never = writeln!(text, "{name:<10} {value}").is_err();
        };
        if let Some(device) = self.device() {
            line("device", device);
        }
        for (kept, keep) in [&self.session, &self.pat].into_iter().flatten() {
            let keep = match keep {
                Keep::Keystore => "in the keystore",
                Keep::File => "in a file",
            };
            let left = left(kept).map(|left| format!(", {left} s left")).unwrap_or_default();
            line("credential", format!("{} {keep}{left}", kept.secret.id()));
        }
        line(
            "token",
            match &self.token {
                None => "none".to_owned(),
                Some(token) => {
                    format!("{} s left, by {}", token.left(), token.mode.name())
                }
            },
        );
        if self.config.sync.is_some() {
            let told = self.sync().map_or_else(|| "has not run yet".into(), |it| summary(&it));
            line("sync", told);
        }
        line("files", self.home.root().display().to_string());

        text
    }
}

fn left(kept: &Kept) -> Option<u64> {
    kept.expires_at.map(|ends| ends.saturating_sub(cache::now()))
}
