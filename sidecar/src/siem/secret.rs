//! What must not be told: tokens, and addresses that are tokens. They come from files that others
//! cannot read, and leave in a request alone.

use crate::settings::{self, FileError};
use std::fmt;
use std::path::Path;
use thiserror::Error;

/// Longest secret. The longest that a vendor issues is a few hundred bytes.
const LONGEST: usize = 4096;

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why there is none. What the file holds is not told.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in it.
    #[error("{} must hold one line of visible ASCII and nothing else", .0.display())]
    Form(std::path::PathBuf),
}

impl Secret {
    /// Reads one.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = settings::read_secret(path)?;
        let text = text.trim();
        if text.is_empty()
            || text.len() > LONGEST
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(SecretError::Form(path.to_owned()));
        }

        Ok(Self(text.to_owned()))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text without it: a server may say what it was told.
    pub fn hide_in(&self, text: &str) -> String {
        text.replace(&self.0, "[secret]")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
