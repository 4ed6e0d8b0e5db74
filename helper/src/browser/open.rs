//! Opens the person's browser.

use std::process::{Command, Stdio};

/// Names the program to open an address with.
pub const BROWSER: &str = "TOLLGATE_HELPER_BROWSER";

/// Opens an address, by the program that [`BROWSER`] names, or else the system's.
///
/// # Errors
/// Why not.
pub fn open(address: &str) -> Result<(), String> {
    let mut command = match std::env::var_os(BROWSER).filter(|program| !program.is_empty()) {
        Some(program) => Command::new(program),
        None => system(),
    };
    // Nothing of a browser's chatter may reach the one line of standard output.
    let spawned = command
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();

    spawned.map(drop).map_err(|error| error.to_string())
}

#[cfg(windows)]
fn system() -> Command {
    // `start` is the shell's, and the shell reads the address's ampersands.
    let mut command = Command::new("rundll32.exe");
    command.arg("url.dll,FileProtocolHandler");

    command
}

#[cfg(target_os = "macos")]
fn system() -> Command {
    Command::new("/usr/bin/open")
}

#[cfg(not(any(windows, target_os = "macos")))]
fn system() -> Command {
    Command::new("xdg-open")
}
