//! A header list, as the proxy hands it over and as a client wrote it.
#![no_main]

use contract::headers::Boundary;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tollgate_filter::host::Headers;
use tollgate_filter::stages::decode;

static BOUNDARY: LazyLock<Boundary> = LazyLock::new(|| Boundary::shipped().expect("shipped"));

fuzz_target!(|input: (Vec<(String, Vec<u8>)>, Vec<u8>)| {
    let (pairs, raw) = input;
    let list: Headers =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let (head, _surface) = decode::head(&list, &BOUNDARY);
    assert!(head.inside.iter().all(|name| !BOUNDARY.leaves(name)));
    if let Some(list) = Headers::parse(raw) {
        let _judged = decode::head(&list, &BOUNDARY);
    }
});
