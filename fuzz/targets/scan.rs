//! The scan: no bytes panic, in a body or in text, and what is told is
//! bounded.
#![no_main]

use contract::scan::{MOST_HITS, Scanner, Wanted, catalogue};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let word = |text: &str| Wanted::Word { text: text.into(), case: false, part: false };
    let patterns = catalogue().precise().map(|pattern| Wanted::Shipped(pattern.id.clone()));
    let wanted: Vec<Wanted> = patterns.chain([word("project onyx"), word("falcon")]).collect();
    Scanner::new(&wanted).expect("can be looked for")
});
static MASKING: LazyLock<Scanner> = LazyLock::new(Scanner::masking);

fuzz_target!(|body: &[u8]| {
    let hits = SCANNER.scan(body);
    assert!(hits.list.len() <= MOST_HITS + catalogue().patterns.len() + 2);
    assert!(hits.list.iter().all(|hit| hit.digest.len() == 16));
    let text = String::from_utf8_lossy(body);
    let _hits = SCANNER.scan_text(&text);
    let _masked = MASKING.mask(&text);
});
