//! `tollgate identity`.

use super::Identity;
use crate::args::IdentityCommand;
use crate::failure::Failure;
use crate::policy::compile::{self, SourceError};
use crate::policy::walk::Found;
use crate::screen::Screen;
use serde_json::json;
use std::path::Path;

/// Runs one of the commands.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &IdentityCommand, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        IdentityCommand::Check { file } => check(file, screen),
    }
}

fn check(file: &Path, screen: &mut Screen) -> Result<(), Failure> {
    match Identity::read(file) {
        Ok(identity) => {
            if screen.json() {
                return screen.object(&json!({
                    "file": file.display().to_string(), "faults": [],
                    "providers": identity.providers.iter().map(|one| &one.id).collect::<Vec<_>>(),
                    "workloads": identity.workloads.iter().map(|one| &one.id).collect::<Vec<_>>(),
                }));
            }
            screen.say(
                "No faults. Whether the providers answer is seen when `tollgate serve` starts.",
            );
            Ok(())
        }
        Err(SourceError::Faults { path, found }) => {
            if screen.json() {
                let faults: Vec<_> = found.iter().map(fault).collect();
                screen.object(&json!({ "file": path.display().to_string(), "faults": faults }))?;
            } else {
                screen.say(&compile::listed(&path, &found));
            }
            Err(Failure::Answered)
        }
        Err(error) => Err(error.into()),
    }
}

fn fault(found: &Found) -> serde_json::Value {
    json!({ "line": found.at.line, "column": found.at.column, "place": found.place,
        "problem": found.problem })
}
