//! What nobody can guess, from the system.

use crate::line;

/// So many random bytes; none if the system gives none.
pub fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    line::provider().secure_random.fill(&mut bytes).ok()?;

    Some(bytes)
}

/// A name that is nobody else's: 128 bits, in lower-case hex.
pub fn name() -> Option<String> {
    bytes::<16>().map(|bytes| contract::envelope::hex(&bytes))
}
