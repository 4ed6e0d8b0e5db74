//! A fetch of its own accord: when a token is asked for and the last one is a while ago.

use super::fetch::MEMORY;
use crate::config::Config;
use crate::context::CONTEXT;
use crate::home::Home;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// A fetch older than that is looked after.
const OLD: Duration = Duration::from_mins(5);

/// In the helper's directory: when one was started last.
const STARTED: &str = "sync.started";

/// Starts one if it is time, and does not wait for it. Never two: each leaves a mark before it begins, and takes a lock.
pub fn nudge(home: &Home, config: &Config) {
    if config.sync.is_none() {
        return;
    }
    // The system's half has a clock of its own: that it ran says nothing of what the gateway has.
    let marks = [home.file(MEMORY), home.file(STARTED)];
    if marks.iter().any(|path| is_recent(path)) || home.write(STARTED, "").is_err() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut command = Command::new(program);
    command
        .args(["sync", "fetch", "--wait", "5"])
        // Whatever the client asked for, nobody sits before this one: it opens no browser.
        .env(CONTEXT, "background")
        .current_dir(home.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    detach(&mut command);
    // Nobody waits for it; that it could not be started, the next one will see.
    let _started = command.spawn().is_ok();
}

/// From the future is not recent: a clock was put back.
fn is_recent(path: &Path) -> bool {
    let Ok(changed) = std::fs::metadata(path).and_then(|about| about.modified()) else {
        return false;
    };

    SystemTime::now().duration_since(changed).is_ok_and(|age| age < OLD)
}

/// Whoever ends the client's processes does not end it.
#[cfg(unix)]
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
fn detach(command: &mut Command) {
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    std::os::windows::process::CommandExt::creation_flags(
        command,
        DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP,
    );
}

#[cfg(not(any(unix, windows)))]
fn detach(_command: &mut Command) {}
