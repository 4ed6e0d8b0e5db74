//! How fast `capabilities` answers while load balancers and a fleet of helpers ask a thousand times a second.

use super::load::Caller;
use super::report::Report;
use super::side::Side;
use super::{late, millis};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Requests each second.
const RATE: u32 = 1_000;

/// For how long.
const SECONDS: u32 = 5;

const REQUEST: &[u8] =
    b"GET /v1/auth/cowork/capabilities?cohort=everybody HTTP/1.1\r\nhost: bench\r\n\r\n";

/// Asks in an open loop: each request has its time, and what comes late counts from when it should have been sent.
pub fn capabilities(gate: &Side, report: &mut Report) -> Result<()> {
    let mut caller = Caller::new(gate.address())?;
    let pace = Duration::from_secs(1) / RATE;
    let begun = Instant::now();
    let mut times = Vec::new();
    for nth in 0..RATE * SECONDS {
        let due = begun + pace * nth;
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let waited = due.elapsed();
        let took = caller.call(REQUEST)?;
        times.push(millis(took) + waited.as_secs_f64() * 1000.0);
    }
    report.figure("capabilities.p99_ms", late(times));

    Ok(())
}
