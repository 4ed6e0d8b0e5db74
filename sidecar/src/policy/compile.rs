//! A policy as it is written → the document that is signed, or every fault with its line.
//!
//! What is signed is the document as compact JSON, its members in one order: comments, the order of
//! members and the way a value is written change no byte of it, and so no version.

use super::shape::POLICY;
use super::walk::{Found, Walked, walk};
use super::warnings;
use super::yaml::{self, At};
use crate::settings::FileError;
use contract::envelope;
use contract::policy::{Document, Fault, Policy};
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A policy without faults.
#[derive(Debug)]
pub struct Compiled {
    /// What is signed.
    pub payload: Vec<u8>,
    /// Names these bytes.
    pub version: String,
    /// As it is written.
    pub document: Document,
    /// As it judges.
    pub policy: Policy,
    /// What is no fault, and not meant so.
    pub warnings: Vec<Found>,
}

/// Why there is nothing to sign.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text in it.
    #[error("{}", listed(path, found))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// Every one.
        found: Vec<Found>,
    },
}

/// One fault a line, `FILE:LINE:COLUMN: PLACE: what is wrong`.
pub fn listed(path: &Path, found: &[Found]) -> String {
    let line = |found: &Found| {
        let At { line, column } = found.at;
        let place = if found.place.is_empty() { "" } else { ": " };
        format!("{}:{line}:{column}: {}{place}{}", path.display(), found.place, found.problem)
    };

    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads and compiles a file.
///
/// # Errors
/// [`SourceError`].
pub fn file(path: &Path) -> Result<Compiled, SourceError> {
    let text = read(path)?;

    compile(&text).map_err(|found| SourceError::Faults { path: path.to_owned(), found })
}

/// Compiles what came from there.
///
/// # Errors
/// [`SourceError`].
pub fn bytes(path: &Path, bytes: Vec<u8>) -> Result<Compiled, SourceError> {
    let text = utf8(path, bytes)?;

    compile(&text).map_err(|found| SourceError::Faults { path: path.to_owned(), found })
}

/// Reads a file of text.
///
/// # Errors
/// [`SourceError`].
pub fn read(path: &Path) -> Result<String, SourceError> {
    let bytes =
        fs::read(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;

    utf8(path, bytes)
}

/// Text, or where it stops being some.
///
/// # Errors
/// [`SourceError::Faults`].
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, SourceError> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let lines = good.split(|byte| *byte == b'\n');
        let column = lines.clone().next_back().map_or(0, <[u8]>::len).saturating_add(1);
        let at = At { line: lines.count(), column };
        let problem = "is not UTF-8 from here on".to_owned();
        let found = vec![Found { at, place: String::new(), problem }];
        SourceError::Faults { path: path.to_owned(), found }
    })
}

/// Compiles a text.
///
/// # Errors
/// Every fault, in the order of lines: those of shape and those of sense.
pub fn compile(text: &str) -> Result<Compiled, Vec<Found>> {
    let root = yaml::parse(text).map_err(slips)?;
    let walked = walk(&root, POLICY);
    let document: Document = match serde_json::from_value(walked.value.clone()) {
        Ok(document) => document,
        // Only if this file and the document were no longer the same.
        Err(error) => return Err(with(walked, vec![whole(error.to_string())])),
    };
    let checked = Policy::check(document.clone());
    let policy = match checked {
        Ok(policy) if walked.found.is_empty() => policy,
        Ok(_) => return Err(walked.found),
        Err(faults) => {
            let located = located(&walked, faults);
            return Err(with(walked, located));
        }
    };
    let payload = match serde_json::to_vec(&document) {
        Ok(payload) => payload,
        Err(error) => return Err(vec![whole(error.to_string())]),
    };
    if payload.len() > LARGEST {
        return Err(vec![whole(format!("is larger than {LARGEST} bytes when it is compiled"))]);
    }
    let version = envelope::version(&payload);
    let warnings = warnings::of(&document, &walked);

    Ok(Compiled { payload, version, document, policy, warnings })
}

/// Largest document: signed and in base64 it must still pass the gate.
const LARGEST: usize = envelope::LARGEST / 8 * 5;

/// The slips of a text, as faults.
pub fn slips(slips: Vec<yaml::Slip>) -> Vec<Found> {
    slips
        .into_iter()
        .map(|slip| Found { at: slip.at, place: String::new(), problem: slip.problem })
        .collect()
}

fn whole(problem: String) -> Found {
    Found { at: At::START, place: String::new(), problem }
}

/// The faults of sense with their lines, without those that only follow from faults of shape.
fn located(walked: &Walked, faults: Vec<Fault>) -> Vec<Found> {
    let unnamed = walked.found.iter().any(|found| found.place.rsplit('.').next() == Some("id"));
    faults
        .into_iter()
        .filter(|fault| !walked.is_faulty(&fault.place))
        .filter(|fault| !(unnamed && fault.place.starts_with("break_glass.passes")))
        .map(|Fault { place, problem }| Found { at: walked.at(&place), place, problem })
        .collect()
}

fn with(walked: Walked, more: Vec<Found>) -> Vec<Found> {
    let mut found = walked.found;
    found.extend(more);
    found.sort_by_key(|found| found.at);

    found
}

#[cfg(test)]
mod tests;
