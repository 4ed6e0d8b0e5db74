//! x
use super::args::{Install, Uninstall};
use crate::failure::Failure;

/// x
pub fn install(_wanted: &Install) -> Result<(), Failure> {
    Ok(())
}
/// x
pub fn uninstall(_wanted: &Uninstall) -> Result<(), Failure> {
    Ok(())
}
