//! An edit, looked at from every side before Envoy sees it.

use super::fault::Fault;
use super::files::{BOOTSTRAP, Set, read_bounded, with_version, without_version};
use super::mask::Secrets;
use super::place::EnvoyPlace;
use super::{assemble, references, validate};
use crate::failure::Failure;
use crate::settings::FileError;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a candidate, by their names in Envoy's directory.
pub type Candidate = BTreeMap<String, Vec<u8>>;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Must not be put in force.
    pub faults: Vec<Fault>,
    /// Is hardly meant so.
    pub warnings: Vec<Fault>,
}

/// Reads a candidate: the YAML files of a directory and of its `secrets/`, and single files by name.
///
/// # Errors
/// [`Failure`].
pub fn candidate(from: Option<&Path>, files: &[(String, PathBuf)]) -> Result<Candidate, Failure> {
    let mut all = Candidate::new();
    if let Some(from) = from {
        for (folder, before) in [(from.to_owned(), ""), (from.join("secrets"), "secrets/")] {
            let listed = match fs::read_dir(&folder) {
                Ok(listed) => listed,
                Err(_) if !before.is_empty() => continue,
                Err(source) => return Err(FileError::Read { path: folder, source }.into()),
            };
            for entry in listed.flatten() {
                let (name, path) = (entry.file_name(), entry.path());
                let is_yaml = path.extension().is_some_and(|it| it == "yaml");
                let Some(name) = name.to_str().filter(|_| is_yaml) else {
                    continue;
                };
                if path.is_file() {
                    all.insert(format!("{before}{name}"), read(&path)?);
                }
            }
        }
        if all.is_empty() {
            let place = from.display();
            return Err(Failure::NotFound(format!("{place} holds no YAML file")));
        }
    }
    for (name, path) in files {
        all.insert(name.clone(), read(path)?);
    }

    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(read_bounded(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?)
}

/// Looks at `set`, which would come after `before`.
///
/// # Errors
/// [`Failure`], if Envoy cannot be asked.
pub async fn check(set: &Set, before: Option<&Set>, place: &EnvoyPlace) -> Result<Report, Failure> {
    let mut report = Report { faults: set.faults().to_vec(), warnings: Vec::new() };
    if let Some(before) = before {
        unchangeable(set, before, &mut report.faults);
    }
    let found = references::look(set, before);
    report.faults.extend(found.faults);
    report.warnings = found.warnings;
    match assemble::assemble(set) {
        Err(faults) => report.faults.extend(faults),
        // A file that is broken would be told a second time, as one that lacks everything.
        Ok(_) if !set.faults().is_empty() => {}
        Ok(whole) => {
            let secrets = Secrets::of([set].into_iter().chain(before));
            let told = validate::validate(&whole, place, set, &secrets).await?;
            let known = |fault: &Fault| {
                let same = |it: &&Fault| {
                    it.file == fault.file && it.at.map(|at| at.line) == fault.at.map(|at| at.line)
                };
                report.faults.iter().any(|it| same(&it))
            };
            report.faults.extend(
                told.filter(|fault| {
                    !known(fault) || fault.file.is_none() && report.faults.is_empty()
                }),
            );
        }
    }
    report.faults.sort();
    report.faults.dedup();

    Ok(report)
}

/// What cannot be put in force by a rename.
fn unchangeable(set: &Set, before: &Set, faults: &mut Vec<Fault>) {
    for (name, file) in set.files() {
        let same = before
            .files()
            .get(name)
            .is_some_and(|old| without_version(old) == without_version(file));
        if same {
            continue;
        }
        if name == BOOTSTRAP {
            let problem = "differs from the one that Envoy was started with: it takes a restart, and is not applied";
            faults.push(Fault::of(name, problem));
        } else if Path::new(name).is_absolute() || name.starts_with("..") {
            faults.push(Fault::of(name, "lies outside of Envoy's directory, and is not applied"));
        } else if file.tree.is_some() && with_version(file, "x").is_none() {
            let problem = "`resources:` must stand at the beginning of a line: the file's version is written before it";
            faults.push(Fault::of(name, problem));
        }
    }
}
