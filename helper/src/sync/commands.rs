//! What `sync apply`, `sync status`, `install` and `uninstall` do on the command line.

use super::apply::Run;
use super::args::{Apply, Install, Uninstall};
use super::disk::Disk;
use super::install;
use super::places::{Os, Settings, root};
use super::status;
use super::trouble::Trouble;
use crate::cache::now;
use crate::config;
use crate::failure::Failure;
use crate::say;

/// What holds on this machine.
fn settings() -> Result<Settings, Failure> {
    let member = config::of_machine()?.sync;

    Ok(Settings::new(&member.unwrap_or_default(), Os::HERE, root().as_deref()))
}

/// Puts in place what lies in the inboxes.
///
/// # Errors
/// [`Failure`].
pub fn apply(wanted: &Apply) -> Result<(), Failure> {
    let settings = settings()?;
    let run =
        Run { settings: &settings, disk: &Disk::default(), now: now(), dry_run: wanted.dry_run };
    let outcome = run.run().map_err(Trouble::into_failure)?;
    for check in &outcome.log.checks {
        say(&serde_json::to_string(check).unwrap_or_default());
    }

    outcome.trouble.map_or(Ok(()), |trouble| Err(trouble.into_failure()))
}

/// Tells what stands.
///
/// # Errors
/// [`Failure`].
pub fn status(json: bool) -> Result<(), Failure> {
    status::tell(&settings()?, json)
}

/// Lays down what it takes.
///
/// # Errors
/// [`Failure`].
pub fn install(wanted: &Install) -> Result<(), Failure> {
    install::install(wanted)
}

/// Takes it away again.
///
/// # Errors
/// [`Failure`].
pub fn uninstall(wanted: &Uninstall) -> Result<(), Failure> {
    install::uninstall(wanted)
}
