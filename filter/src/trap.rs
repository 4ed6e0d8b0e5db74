//! For one test build only: traps on purpose, to show what a trap costs and what it does not.

/// Traps on a header of this name.
pub(crate) const HEADER: &str = "x-trap";

/// Traps.
#[expect(clippy::panic, reason = "this is what the feature is for")]
pub(crate) fn now() {
    panic!("a trap on purpose");
}

/// Traps on a body that asks for it.
pub(crate) fn on_body(body: &[u8]) {
    const WORD: &[u8] = b"please-trap";
    if body.windows(WORD.len()).any(|window| window == WORD) {
        now();
    }
}
