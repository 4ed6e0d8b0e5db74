//! A request's body: no bytes panic, and what is accepted is one model's name; what a row keeps of it
//! is bounded.
#![no_main]

use contract::audit::ContentMode;
use libfuzzer_sys::fuzz_target;
use tollgate_filter::stages::{parse, said};

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = parse::request(body) {
        assert!(!request.call.model.is_empty());
        assert!(request.call.model.is_ascii());
        let asked = said::asked(&request.turn, body, ContentMode::Full);
        assert!(asked.answers.len() <= 64);
        assert!(asked.content.is_some_and(|content| content.input.len() <= 32));
    }
});
