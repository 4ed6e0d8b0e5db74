//! A request's body: no bytes panic, and what is accepted is one model's name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_filter::stages::parse;

fuzz_target!(|body: &[u8]| {
    if let Ok(call) = parse::call(body) {
        assert!(!call.model.is_empty());
        assert!(call.model.is_ascii());
    }
});
