//! The translation to chat completions and back: no bytes panic, and how a stream is cut changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use std::sync::LazyLock;
use tollgate_filter::lane::dialect::{Ask, Stream, What};
use tollgate_filter::lane::family::Terms;
use tollgate_filter::lane::openai::{Provider, Reader, answer, error, request};

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| Provider::shipped("vllm").unwrap());
static LANE: LazyLock<Terms> = LazyLock::new(|| Terms {
    models: [("*".to_owned(), "big-1".to_owned())].into(),
    ..Terms::default()
});

/// What a stream becomes, and whether it failed.
fn stream(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let (mut reader, mut out) = (Reader::new("m"), Vec::new());
    let failed = pieces.iter().any(|piece| reader.eat(piece, &mut out).is_err());
    let failed = failed || reader.end(&mut out).is_err();
    (out, failed)
}

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (what, cut, bytes) = input;
    match what % 4 {
        0 => {
            let ask = Ask { what: What::Messages, betas: "", body: bytes };
            if let Ok(outgoing) = request(&ask, &PROVIDER, &LANE) {
                // What was copied as it stood is still JSON as a whole.
                serde_json::from_slice::<Box<RawValue>>(&outgoing.body.unwrap()).unwrap();
            }
        }
        1 => {
            if let Ok(message) = answer(bytes, "m") {
                serde_json::from_slice::<Box<RawValue>>(&message).unwrap();
            }
        }
        2 => drop(error(cut, "application/json", bytes)),
        _ => {
            let (one, two) = bytes.split_at(usize::from(cut).min(bytes.len()));
            assert_eq!(stream(&[bytes]), stream(&[one, two]));
        }
    }
});
