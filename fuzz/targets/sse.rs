//! An answer: no bytes panic, and how they are cut changes nothing, be its text kept or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_filter::stages::meter::Meter;

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (stream, cut, answer) = input;
    let kind: &[u8] = if stream { b"text/event-stream" } else { b"application/json" };
    let meter = || match cut & 1 {
        0 => Meter::new(kind, None),
        _ => Meter::new(kind, None).keeping(64),
    };
    let mut whole = meter();
    whole.eat(answer);
    let mut halves = meter();
    let (one, two) = answer.split_at(usize::from(cut).min(answer.len()));
    halves.eat(one);
    halves.eat(two);
    assert_eq!(whole.finish(true), halves.finish(true));
});
