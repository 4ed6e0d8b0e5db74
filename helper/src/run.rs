//! The story: bare, the helper hands out the token it has or gets a new one; with a command, it
//! looks after what it keeps.

use crate::args::{Args, Command};
use crate::cache;
use crate::failure::Failure;
use crate::gateway::{Answer, Gateway};
use crate::home::Home;
use crate::secret::Secret;
use clap::Parser;
use clap::error::ErrorKind;
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const CONFIG: &str = "config.json";
const PAT: &str = "pat";

/// Longest token that is read from standard input.
const LONGEST: u64 = 4096;

/// Runs the command line.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let home = Home::of_user(|name| {
        std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    });
    let done = home.and_then(|home| match args.command {
        None => token(&home),
        Some(Command::Login { gateway, pat, ca }) => {
            login(&home, &gateway, pat.as_deref(), ca.as_deref())
        }
        Some(Command::Status { json }) => status(&home, json),
        Some(Command::Logout) => logout(&home),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("tollgate-helper: {failure}"));
            say(&format!("hint: {}", failure.hint()));
            failure.exit_code()
        }
    }
}

/// One line, whatever happens.
fn token(home: &Home) -> Result<(), Failure> {
    let kept = match cache::read(home) {
        // Somebody else may have put it there: it is not handed out, and replaced.
        Err(Failure::Exposed { path, why }) => {
            say(&format!("{} is not used: {why}", path.display()));
            None
        }
        other => other?,
    };
    if let Some(kept) = kept.filter(|kept| kept.left() > cache::MARGIN) {
        return print(&kept.into_answer());
    }

    let (gateway, pat) = credentials(home)?;
    let asked = cache::now();
    let answer = match gateway.mint(&pat) {
        Err(refused @ Failure::Refused(_)) => {
            cache::remove(home)?;
            return Err(refused);
        }
        other => other?,
    };
    // A token that cannot be kept is still a token.
    if let Err(failure) = cache::write(home, &answer, asked) {
        say(&format!("{failure}: the next call will ask the gateway again"));
    }

    print(&answer)
}

fn login(home: &Home, url: &str, pat: Option<&str>, ca: Option<&Path>) -> Result<(), Failure> {
    let gateway = Gateway::new(url, ca.map(authority).transpose()?)?;
    let pat = match pat {
        None => ask()?,
        Some("-") => from_stdin()?,
        Some(pat) => pat.to_owned(),
    };
    let pat = Secret::pat(&pat).ok_or(Failure::NoToken)?;

    let asked = cache::now();
    let answer = gateway.mint(&pat)?;
    let config = serde_json::to_string(&gateway).unwrap_or_default();
    home.create()?;
    // What is kept for one gateway is never shown to another, whatever stops us halfway.
    cache::remove(home)?;
    home.remove(PAT)?;
    home.write(CONFIG, &config)?;
    home.write(PAT, pat.expose())?;
    cache::write(home, &answer, asked)?;
    say(&format!("Logged in to {} with {}.", gateway.url, pat.id()));

    Ok(())
}

fn status(home: &Home, as_json: bool) -> Result<(), Failure> {
    let (gateway, pat) = credentials(home)?;
    let left = cache::read(home)?.map_or(0, |kept| kept.left());
    let text = if as_json {
        let told = json!({
            "gateway": gateway.url, "own_ca": gateway.ca.is_some(), "credential_id": pat.id(),
            "token_seconds_left": left, "directory": home.root(),
        });
        format!("{told}\n")
    } else {
        format!(
            "gateway    {}\ncredential {}\ntoken      {}\nfiles      {}\n",
            gateway.url,
            pat.id(),
            if left == 0 { "none".to_owned() } else { format!("{left} s left") },
            home.root().display()
        )
    };

    io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}

fn logout(home: &Home) -> Result<(), Failure> {
    home.remove(PAT)?;
    cache::remove(home)?;
    home.remove(CONFIG)?;
    say("Logged out. To end the access token itself, ask your administrator to revoke it.");

    Ok(())
}

fn credentials(home: &Home) -> Result<(Gateway, Secret), Failure> {
    let (Some(config), Some(pat)) = (home.read(CONFIG)?, home.read(PAT)?) else {
        return Err(Failure::LoggedOut);
    };
    let gateway: Gateway = serde_json::from_str(&config)
        .map_err(|error| Failure::Unreadable { path: home.file(CONFIG), source: error.into() })?;
    // Checked again: the file may have been edited.
    let gateway = Gateway::new(&gateway.url, gateway.ca)?;

    Ok((gateway, Secret::pat(&pat).ok_or(Failure::NoToken)?))
}

fn authority(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))
}

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

/// The one line of standard output.
fn print(answer: &Answer) -> Result<(), Failure> {
    let mut line = serde_json::to_string(answer).map_err(|error| Failure::Output(error.into()))?;
    line.push('\n');
    let mut out = io::stdout().lock();

    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// For the person. Who closed standard error wants to hear nothing.
fn say(words: &str) {
    let _closed = writeln!(io::stderr(), "{words}").is_err();
}

fn usage(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let _closed = error.print().is_err();
    if asked {
        return ExitCode::SUCCESS;
    }
    say("hint: `tollgate-helper --help` tells how");

    ExitCode::from(64)
}
