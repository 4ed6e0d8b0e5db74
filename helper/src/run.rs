//! The story: bare, the helper hands out the token it has or gets a new one; with a command, it
//! looks after what it keeps.

pub mod login;
pub mod logout;
mod prompt;
pub mod status;

use crate::args::{Args, Command, Token};
use crate::cache;
use crate::config::Config;
use crate::context::Context;
use crate::doctor;
use crate::failure::Failure;
use crate::form::Form;
use crate::gateway::{Answer, Gateway};
use crate::home::Home;
use crate::ladder::Ladder;
use crate::say;
use crate::store::Store;
use crate::sync::args::Sync;
use crate::sync::{background, commands, fetch};
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the command line.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let named = args.first().and_then(|name| Form::by_name(Path::new(name)));
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let command = match args.command {
        // The system's half has no home.
        Some(Command::Sync(Sync::Apply(wanted))) => return ended(commands::apply(&wanted)),
        Some(Command::Install(wanted)) => return ended(commands::install(&wanted)),
        Some(Command::Uninstall(wanted)) => return ended(commands::uninstall(&wanted)),
        command => command,
    };
    let home = Home::of_user(|name| {
        std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    });
    let done = home.and_then(|home| {
        match command {
            None => token(&home, named, &Token::default()),
            Some(Command::Token(wanted)) => token(&home, named, &wanted),
            Some(Command::Login(login)) => login::login(&home, &login),
            Some(Command::Status { json }) => status::status(&home, json),
            Some(Command::Logout) => logout::logout(&home),
            Some(Command::Doctor { json }) => return doctor::examine(&home, json),
            Some(Command::Sync(Sync::Fetch(wanted))) => fetch::fetch(&home, &wanted),
            Some(Command::Sync(Sync::Status { json })) => commands::status(json),
            // Done above.
            Some(Command::Sync(Sync::Apply(_)) | Command::Install(_) | Command::Uninstall(_)) => {
                Ok(())
            }
        }
        .map(|()| ExitCode::SUCCESS)
    });

    done.unwrap_or_else(|failure| told(&failure))
}

fn ended(done: Result<(), Failure>) -> ExitCode {
    done.map_or_else(|failure| told(&failure), |()| ExitCode::SUCCESS)
}

fn told(failure: &Failure) -> ExitCode {
    say(&format!("tollgate-helper: {failure}"));
    say(&format!("hint: {}", failure.hint()));

    failure.exit_code()
}

/// Where Claude Code says which server it wants headers for.
const MCP_SERVER: &str = "CLAUDE_CODE_MCP_SERVER_URL";

/// Why the helper runs.
fn context() -> Context {
    Context::from_environment(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// One line, whatever happens.
fn token(home: &Home, named: Option<Form>, wanted: &Token) -> Result<(), Failure> {
    let config = Config::load(home)?;
    let form = wanted.form.or(named).unwrap_or(config.form);
    let ttl = wanted.ttl.or(config.ttl);
    let gateway = config.gateway()?;
    if wanted.gateway.as_ref().is_some_and(|meant| meant.trim_end_matches('/') != gateway.url) {
        let why = format!("this machine's gateway is {}, and tokens are for no other", gateway.url);
        return Err(Failure::Usage(why));
    }
    for_this_gateway(gateway)?;
    let operates = wanted.audience.is_some();
    if operates {
        let (context, deadline) = (context(), context().deadline());
        home.create()?;
        let lock = home.lock(deadline)?;
        let store = Store::new(home, config.store, context.may_open_a_browser());
        let ladder =
            Ladder { home, config: &config, gateway, store: &store, context, deadline, ttl };
        let answer = ladder.operator()?;
        drop(lock);
        return print(Form::Bare, &answer);
    }
    let answer = answer(home, &config, gateway, ttl)?;
    print(form, &answer)?;
    // The line is out: what comes now, nobody waits for.
    background::nudge(home, &config);

    Ok(())
}

/// A token from the cache, or a new one.
///
/// # Errors
/// [`Failure`].
pub(crate) fn answer(
    home: &Home,
    config: &Config,
    gateway: &Gateway,
    ttl: Option<u64>,
) -> Result<Answer, Failure> {
    if let Some(kept) = from_cache(home, config, &gateway.url, ttl)? {
        return Ok(kept);
    }
    let context = context();
    let deadline = context.deadline();
    home.create()?;
    // One process asks; who waited finds what it got.
    let lock = home.lock(deadline)?;
    if let Some(kept) = from_cache(home, config, &gateway.url, ttl)? {
        return Ok(kept);
    }
    let store = Store::new(home, config.store, context.may_open_a_browser());
    let ladder = Ladder { home, config, gateway, store: &store, context, deadline, ttl };
    let answer = ladder.token()?;
    drop(lock);

    Ok(answer)
}

/// A client that asks for headers may say for which server, and tokens are for no other than the gateway's own.
fn for_this_gateway(gateway: &Gateway) -> Result<(), Failure> {
    let Some(server) = std::env::var_os(MCP_SERVER).filter(|server| !server.is_empty()) else {
        return Ok(());
    };
    let server = server.to_string_lossy();
    let rest = server.strip_prefix(gateway.url.as_str());
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Ok(());
    }

    Err(Failure::Usage(format!(
        "{MCP_SERVER} is not at {}, and tokens are for no other server",
        gateway.url
    )))
}

fn from_cache(
    home: &Home,
    config: &Config,
    gateway: &str,
    ttl: Option<u64>,
) -> Result<Option<Answer>, Failure> {
    let kept = match cache::read(home) {
        // Somebody else may have put it there: it is not handed out, and replaced.
        Err(Failure::Exposed { path, why }) => {
            say(&format!("{} is not used: {why}", path.display()));
            None
        }
        other => other?,
    };

    let kept = kept.filter(|kept| kept.serves(gateway, ttl) && config.allows(kept.mode));

    Ok(kept.map(cache::Cached::into_answer))
}

/// The one line of standard output.
fn print(form: Form, answer: &Answer) -> Result<(), Failure> {
    let mut line = form.line(answer).map_err(|error| Failure::Output(error.into()))?;
    line.push('\n');

    write(&line)
}

/// To standard output.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();

    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
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
