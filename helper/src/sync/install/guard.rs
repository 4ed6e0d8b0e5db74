//! Whether somebody who is no administrator could lead what an installation lays down. Only Windows lets everybody make folders
//! where machines keep their configuration: elsewhere nothing is looked at.

use crate::failure::Failure;
#[cfg(windows)]
use crate::sync::acl;
use std::path::Path;

/// What is there is no link, nor what is above it, and belongs to the system or its administrators; or nothing is there.
///
/// # Errors
/// [`Failure::System`].
#[cfg(windows)]
pub(super) fn trusted(path: &Path) -> Result<(), Failure> {
    for place in path.ancestors() {
        if there(place)?.is_some_and(|about| about.file_type().is_symlink()) {
            return Err(refused(path, "lies behind a link"));
        }
    }
    if there(path)?.is_none() {
        return Ok(());
    }
    match acl::owner(path) {
        Some(owner) if acl::is_trusted(&owner) => Ok(()),
        Some(owner) => Err(refused(path, &format!("belongs to {owner}"))),
        None => Err(refused(path, "is there, and whose it is cannot be read")),
    }
}

/// Nobody else may write it; or nothing is there.
///
/// # Errors
/// [`Failure::System`].
#[cfg(windows)]
pub(super) fn closed(path: &Path) -> Result<(), Failure> {
    match acl::fault(path, &std::env::temp_dir()) {
        Some(why) => Err(refused(path, &why)),
        None => Ok(()),
    }
}

#[cfg(windows)]
fn there(path: &Path) -> Result<Option<std::fs::Metadata>, Failure> {
    crate::sync::disk::there(path)
        .map_err(|source| Failure::NoFile { path: path.to_owned(), source })
}

#[cfg(windows)]
fn refused(path: &Path, why: &str) -> Failure {
    let why =
        format!("{why}: look into it, take it away or take the rights away, and install again");

    Failure::System { words: path.display().to_string(), why }
}

/// Nothing is looked at.
#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn trusted(_path: &Path) -> Result<(), Failure> {
    Ok(())
}

/// Nothing is looked at.
#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn closed(_path: &Path) -> Result<(), Failure> {
    Ok(())
}
