//! Forgetting.

use super::context;
use crate::cache;
use crate::config::{self, Config};
use crate::context::Deadline;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::gateway::wire::Caller;
use crate::home::Home;
use crate::line::Line;
use crate::say;
use crate::secret::{Kind, Secret};
use crate::store::Store;
use std::time::Duration;

/// How long the gateway is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Forgets everything here, and ends the session at the gateway.
///
/// # Errors
/// [`Failure`]; everything here is forgotten even if the gateway was not reached.
pub(super) fn logout(home: &Home) -> Result<(), Failure> {
    // A configuration that is broken must not keep anybody from going.
    let config = Config::load(home).unwrap_or_default();
    let store = Store::new(home, config.store, context().may_open_a_browser());
    let url = config.gateway.as_ref().map(|gateway| gateway.url.clone()).unwrap_or_default();
    let session = store.read(Kind::Session, &url).ok().flatten().map(|(kept, _)| kept.secret);
    let pat = store.read(Kind::Pat, &url).ok().flatten().is_some();

    // Nobody gets a token in between, and puts it where it has just been taken away. Who hangs is not waited for.
    let lock = home.lock(Deadline::within(PATIENCE)).ok();
    store.remove(Kind::Pat)?;
    store.remove(Kind::Session)?;
    if let Some(why) = store.trouble() {
        say(&format!("The keystore could not be asked to forget what it may hold: {why}."));
    }
    cache::remove(home)?;
    forget_gateway(home)?;
    drop(lock);
    let ended = match (&config.gateway, session) {
        (Some(gateway), Some(session)) => end(gateway, &config, &session),
        _ => Ok(()),
    };
    match ended {
        Ok(()) => say("Logged out."),
        Err(failure) => {
            say("Logged out here, but the gateway could not end the session: it ends by itself.");
            return Err(failure);
        }
    }
    if pat {
        say("To end the access token itself, ask your administrator to revoke it.");
    }

    Ok(())
}

fn end(gateway: &Gateway, config: &Config, session: &Secret) -> Result<(), Failure> {
    let line = Line { proxy: config.proxy.clone(), device: None };

    Caller::new(gateway, &line, Deadline::within(PATIENCE), None)?.end(session)
}

/// What else the person wrote into the file stays.
fn forget_gateway(home: &Home) -> Result<(), Failure> {
    let [_, user] = config::find(home);
    let Ok(Some(mut members)) = user.read else { return home.remove(config::FILE) };
    members.gateway = None;
    let text = serde_json::to_string(&members).unwrap_or_default();

    if text == "{}" { home.remove(config::FILE) } else { home.write(config::FILE, &text) }
}
