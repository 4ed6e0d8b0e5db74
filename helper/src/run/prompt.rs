//! A personal access token from the person: typed, or on standard input.

use crate::failure::Failure;
use crate::say;
use crate::secret::Secret;
use std::io::{self, IsTerminal, Read, Write};

/// Longest token that is read from standard input.
const LONGEST: u64 = 4096;

/// The token that the command line means.
///
/// # Errors
/// [`Failure::Usage`], [`Failure::NoToken`].
pub(super) fn pat(given: &str) -> Result<Secret, Failure> {
    let text = match given {
        "" => ask()?,
        "-" => from_stdin()?,
        given => given.to_owned(),
    };

    Secret::pat(&text).ok_or(Failure::NoToken)
}

/// From standard input.
fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    match io::stdin().take(LONGEST).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::Usage(format!("standard input cannot be read: {error}"))),
    }
}

/// Asks the person, and does not show what is typed.
fn ask() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("nobody can be asked here: use `--pat -`".into()));
    }
    let mut prompt = io::stderr();
    prompt.write_all(b"Personal access token: ").map_err(Failure::Output)?;
    let shown = Shown::hide();
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    drop(shown);
    say("");
    match read {
        Ok(_) => Ok(line),
        Err(error) => Err(Failure::Usage(format!("standard input cannot be read: {error}"))),
    }
}

/// What the terminal showed before; shows it again when dropped.
#[cfg(unix)]
struct Shown(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Shown {
    fn hide() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        let done = tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).is_ok();

        Self(done.then_some(before))
    }
}

#[cfg(unix)]
impl Drop for Shown {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        if let Some(before) = &self.0
            && tcsetattr(io::stdin(), OptionalActions::Now, before).is_err()
        {
            say("The terminal no longer shows what is typed: `stty echo` brings it back.");
        }
    }
}

/// Elsewhere what is typed is shown.
#[cfg(not(unix))]
struct Shown;

#[cfg(not(unix))]
impl Shown {
    fn hide() -> Self {
        Self
    }
}
