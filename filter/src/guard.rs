//! A body that traps the VM cuts every stream of its worker. If one ever does, it is not tried a
//! third time.
//!
//! Before a body is judged its fingerprint is put into the data that outlives the VM, and taken
//! out afterwards. What is still there when the same body comes again was not survived. The
//! fingerprint is taken of the length, the head and the tail, so that its cost does not grow with
//! the body; a false match needs the same caller, length, head and tail, and a trap before it.

use crate::host::{Host, HostError};

/// How often a body may trap before it is refused.
const CHANCES: u8 = 2;

/// How much of either end counts.
const END: usize = 2048;

/// Slots in the shared data: bounded, because Envoy never forgets a key.
const SLOTS: u64 = 4096;

/// How many VMs this Envoy has started so far: it rises when one has trapped and is made anew.
pub const STARTED: &str = "tollgate.vms";

/// A body that is being judged.
#[derive(Debug)]
pub struct Attempt {
    slot: String,
}

/// May this body be judged? `None` if it trapped too often. `started` is [`STARTED`] as this VM
/// last read it.
///
/// # Errors
/// If the host refuses: then nothing is known, and the call must be refused.
pub fn enter(
    host: &impl Host,
    started: u32,
    caller: &str,
    body: &[u8],
) -> Result<Option<Attempt>, HostError> {
    let print = fingerprint(caller, body);
    let slot = format!("tollgate.guard.{}", print.checked_rem(SLOTS).unwrap_or_default());
    let mut mark = Mark { traps: 0, started, print };
    if let Some(seen) = Mark::read(&host.shared(&slot)?.value).filter(|seen| seen.print == print) {
        // The same body may be under judgement in another worker. It trapped only if a VM was
        // made anew since.
        mark.started = number(&host.shared(STARTED)?.value).unwrap_or(started);
        mark.traps = seen.traps.saturating_add(u8::from(mark.started > seen.started));
    }
    if mark.traps >= CHANCES {
        return Ok(None);
    }
    host.share(&slot, &mark.write(), None)?;

    Ok(Some(Attempt { slot }))
}

/// A number as it stands in the shared data.
pub fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(value.try_into().ok()?))
}

struct Mark {
    traps: u8,
    started: u32,
    print: u64,
}

impl Mark {
    fn write(&self) -> Vec<u8> {
        let mut value = vec![self.traps];
        value.extend(self.started.to_le_bytes());
        value.extend(self.print.to_le_bytes());
        value
    }

    fn read(value: &[u8]) -> Option<Self> {
        let (traps, rest) = value.split_first()?;
        let (started, print) = rest.split_at_checked(4)?;
        Some(Self {
            traps: *traps,
            started: number(started)?,
            print: u64::from_le_bytes(print.try_into().ok()?),
        })
    }
}

impl Attempt {
    /// The body was survived.
    ///
    /// # Errors
    /// If the host refuses. The body would then count as one that trapped.
    pub fn leave(self, host: &impl Host) -> Result<(), HostError> {
        host.share(&self.slot, &[], None).map(|_| ())
    }
}

/// FNV-1a over words of eight bytes: short inputs, no adversary to gain anything but his own refusal.
fn fingerprint(caller: &str, body: &[u8]) -> u64 {
    let (head, rest) = body.split_at(END.min(body.len()));
    let tail = rest.get(rest.len().saturating_sub(END)..).unwrap_or_default();
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);

    [caller.as_bytes(), head, tail].into_iter().fold(mix(0xcbf2_9ce4_8422_2325, length), absorb)
}

fn absorb(hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));

    rest.iter().fold(mix(hash, 0x100), |hash, byte| mix(hash, u64::from(*byte)))
}

fn mix(hash: u64, word: u64) -> u64 {
    // The product's high half knows all bits of the word; a plain product's low bits would not.
    (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// What Envoy does when a VM has trapped: it starts another one.
    fn trap(host: &FakeHost, started: u32) {
        host.share(STARTED, &started.to_le_bytes(), None).unwrap();
    }

    #[test]
    fn a_body_that_trapped_twice_is_refused_and_others_are_not() {
        let host = FakeHost::default();

        assert!(enter(&host, 1, "ann", b"poison").unwrap().is_some());
        trap(&host, 2);
        assert!(enter(&host, 2, "ann", b"poison").unwrap().is_some());
        trap(&host, 3);
        assert!(enter(&host, 3, "ann", b"poison").unwrap().is_none());

        assert!(enter(&host, 3, "bob", b"poison").unwrap().is_some(), "another caller");
        assert!(enter(&host, 3, "ann", b"harmless").unwrap().is_some(), "another body");
    }

    #[test]
    fn the_same_body_in_many_workers_at_once_is_no_trap() {
        let host = FakeHost::default();
        trap(&host, 8);

        let attempts: Vec<_> = (0..8).map(|_| enter(&host, 8, "ann", b"body").unwrap()).collect();

        assert!(attempts.iter().all(Option::is_some));
    }

    #[test]
    fn a_body_that_was_survived_is_never_refused() {
        let host = FakeHost::default();

        for started in 0..10 {
            trap(&host, started);
            enter(&host, started, "ann", b"body").unwrap().unwrap().leave(&host).unwrap();
        }
    }
}
