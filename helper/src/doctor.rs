//! Looks for what is wrong, from this machine outwards, and says what to do about it.

pub mod local;
pub mod network;
pub mod private;

use crate::config::{self, Config, Found};
use crate::failure::Failure;
use crate::home::Home;
use crate::run;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit code when something is wrong.
const SICK: u8 = 1;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Could not be looked at, or does not apply.
    Skipped,
    /// Works, but somebody may want to know.
    Warning,
    /// Does not work.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: a stable word.
    pub check: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where there is nothing to do.
    #[serde(rename = "do", skip_serializing_if = "str::is_empty")]
    pub remedy: &'static str,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), remedy: "" }
    }

    fn skipped(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Skipped, found: found.into(), remedy: "" }
    }

    fn warning(check: &'static str, found: impl Into<String>, remedy: &'static str) -> Self {
        Self { check, state: State::Warning, found: found.into(), remedy }
    }

    fn fault(check: &'static str, found: impl Into<String>, remedy: &'static str) -> Self {
        Self { check, state: State::Fault, found: found.into(), remedy }
    }
}

/// Looks, tells, and says by its exit code whether something is wrong.
///
/// # Errors
/// [`Failure::Output`].
pub fn examine(home: &Home, as_json: bool) -> Result<ExitCode, Failure> {
    let files = config::find(home);
    let mut findings: Vec<_> = files.iter().map(file).collect();
    match Config::load(home) {
        Ok(config) => {
            findings.extend(local::look(home, &config));
            findings.extend(network::look(&config));
        }
        Err(failure) if findings.iter().all(|finding| finding.state != State::Fault) => {
            findings.push(Finding::fault("config", failure.to_string(), MEND));
        }
        Err(_) => {} // told already, file by file
    }
    let sick = findings.iter().any(|finding| finding.state == State::Fault);
    run::write(&if as_json { as_one_object(&findings, sick) } else { as_text(&findings) })?;

    Ok(if sick { ExitCode::from(SICK) } else { ExitCode::SUCCESS })
}

const MEND: &str = "mend the file; docs/helper.md names every member";

fn file(found: &Found) -> Finding {
    let check = match found.owner {
        config::Owner::Machine => "config.machine",
        config::Owner::User => "config.user",
    };
    match &found.read {
        Ok(None) => Finding::ok(check, format!("{} is not there", found.path.display())),
        Ok(Some(members)) => {
            let set = serde_json::to_value(members).unwrap_or_default();
            let names: Vec<_> =
                set.as_object().into_iter().flat_map(|set| set.keys().cloned()).collect();
            let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            Finding::ok(check, format!("{} sets {names}", found.path.display()))
        }
        Err(failure @ Failure::Exposed { .. }) => Finding::fault(
            check,
            failure.to_string(),
            "give the file to its owner alone (the user's: chmod 600; the machine's: root, chmod 644)",
        ),
        Err(failure) => Finding::fault(check, failure.to_string(), MEND),
    }
}

fn as_one_object(findings: &[Finding], sick: bool) -> String {
    format!("{}\n", json!({ "healthy": !sick, "findings": findings }))
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Skipped => "-",
            State::Warning => "warning",
            State::Fault => "FAULT",
        };
        let _never = writeln!(text, "{state:<8} {:<18} {}", finding.check, finding.found).is_err();
        if !finding.remedy.is_empty() {
            let _never = writeln!(text, "{:<27} do: {}", "", finding.remedy).is_err();
        }
    }

    text
}
