//! Which provider asked to be left alone, and until when: known to all workers.

use crate::gate;
use crate::host::{Host, HostError};

/// Longest time that a provider is left alone, seconds: beyond it, it is asked again.
const LONGEST: u32 = 300;

fn key(lane: &str, model: &str) -> String {
    format!("tollgate.rest.{lane}.{model}")
}

/// How many seconds it is still to be left alone; `None` if it may be asked.
pub(super) fn left(
    host: &impl Host,
    lane: &str,
    model: &str,
    now: u64,
) -> Result<Option<u32>, HostError> {
    let until = gate::wide(&host.shared(&key(lane, model))?.value).unwrap_or_default();
    let seconds = until.saturating_sub(now).div_ceil(1_000_000_000);

    Ok(u32::try_from(seconds).ok().filter(|seconds| *seconds > 0))
}

/// It asked to be left alone for so many seconds.
pub(super) fn rests(
    host: &impl Host,
    lane: &str,
    model: &str,
    seconds: u32,
) -> Result<(), HostError> {
    let nanos = u64::from(seconds.min(LONGEST)).saturating_mul(1_000_000_000);
    let until = host.now()?.saturating_add(nanos);
    host.share(&key(lane, model), &until.to_le_bytes(), None)?;

    Ok(())
}
