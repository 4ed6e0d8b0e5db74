//! Memory is bounded whatever comes, and usage is never made up.

use super::*;
use crate::stages::meter::{Meter, Reading, flags};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MEGABYTE: usize = 1024 * 1024;

fn chunk(delta: &Value) -> Vec<u8> {
    format!("data: {}\n\n", json!({"choices": [{"delta": delta}]})).into_bytes()
}

fn call(index: usize, name: &str, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "id": format!("c{index}"),
        "function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn an_event_without_end_is_refused() {
    let piece = vec![b'x'; MEGABYTE];
    let mut pieces = vec![b"data: ".as_slice()];
    pieces.extend([piece.as_slice(); 5]);

    assert_eq!(stream(pieces).1.unwrap().message, "an event of the provider is too large");
}

#[test]
fn calls_that_wait_without_end_are_refused() {
    let mut pieces = vec![chunk(&call(0, "a", "{"))];
    pieces.extend((0..5).map(|_| chunk(&call(1, "b", &"x".repeat(MEGABYTE)))));

    let (_, failure) = stream(pieces.iter().map(Vec::as_slice));
    assert_eq!(
        failure.unwrap().message,
        "the provider's tool calls are too large at the same time"
    );
}

#[test]
fn text_that_waits_without_end_is_refused() {
    let mut pieces = vec![chunk(&call(0, "a", "{"))];
    pieces.extend((0..5).map(|_| chunk(&json!({"content": "x".repeat(MEGABYTE)}))));

    assert!(stream(pieces.iter().map(Vec::as_slice)).1.is_some());
}

#[test]
fn calls_without_end_are_refused() {
    let pieces: Vec<_> = (0..300).map(|index| chunk(&call(index, "a", "{}"))).collect();

    let (_, failure) = stream(pieces.iter().map(Vec::as_slice));
    assert_eq!(failure.unwrap().message, "the provider calls too many tools");
}

#[test]
fn a_long_answer_is_not_kept() {
    let text = chunk(&json!({"content": "x".repeat(MEGABYTE)}));
    let arguments = chunk(&call(0, "a", &"y".repeat(MEGABYTE)));
    let mut reader = Reader::new("m");
    for piece in [vec![text; 20], vec![arguments; 20]].concat() {
        let mut out = Vec::new();
        reader.eat(&piece, &mut out).unwrap();
        assert!(out.len() >= MEGABYTE, "it went out at once");
    }
}

fn metered(kind: &[u8], body: &[u8]) -> Reading {
    let mut meter = Meter::new(kind, None);
    meter.eat(body);
    meter.finish(true)
}

fn streamed(last: &str) -> Reading {
    let finish = json!({"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]});
    let (out, _) = stream([format!("data: {finish}\n\ndata: {last}\n\n").as_bytes()]);
    metered(b"text/event-stream", &out)
}

fn answered(usage: &Value) -> Reading {
    let body = json!({"usage": usage, "choices": [
        {"finish_reason": "stop", "message": {"content": "x"}}]});
    let body = answer(body.to_string().as_bytes(), "claude-sonnet-4-5").unwrap();
    metered(b"application/json", &body)
}

#[test]
fn the_gate_meters_the_provider_s_own_numbers_and_each_token_once() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
        "prompt_tokens_details": {"cached_tokens": 900},
        "completion_tokens_details": {"reasoning_tokens": 30}});
    for reading in [streamed(&json!({"choices": [], "usage": usage}).to_string()), answered(&usage)]
    {
        let Reading { usage, complete, flags, .. } = reading;
        assert!(complete && flags.is_empty(), "{flags:?}");
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(100), Some(900), Some(50)));
        assert_eq!((usage.cache_write, usage.fine.thinking), (Some(0), Some(30)));
        assert_eq!(usage.model.as_deref(), Some("claude-sonnet-4-5"));
    }
}

#[test]
fn usage_that_the_provider_does_not_say_is_flagged_by_the_gate_and_is_not_zero() {
    for reading in [streamed("[DONE]"), answered(&Value::Null)] {
        assert_eq!((reading.usage.input, reading.usage.output), (None, None));
        assert_eq!((reading.complete, reading.flags), (false, vec![flags::USAGE_MISSING]));
    }
}
