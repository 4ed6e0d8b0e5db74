//! A stream says the same however it is cut, and says it as soon as it can.

use super::golden::{cases, framed};
use super::*;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_stream_says_the_same_cut_at_any_byte() {
    for case in cases("streams") {
        let bytes = framed(&case);
        let whole = stream([bytes.as_slice()]);
        for at in 0..bytes.len() {
            let (one, two) = bytes.split_at(at);
            assert!(stream([one, two]) == whole, "{} at {at}", case["name"]);
        }
        assert_eq!(stream(bytes.chunks(1)), whole, "{} byte by byte", case["name"]);
    }
}

#[test]
fn what_the_provider_has_said_is_said_at_once() {
    let mut reader = Reader::new("m");
    let chunk = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"delta": delta}]}));
    for (delta, said) in [
        (json!({"role": "assistant"}), "message_start"),
        (json!({"reasoning": "Hm."}), "Hm."),
        (json!({"content": "Four."}), "Four."),
        (json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "a"}}]}), "tool_use"),
        (json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x"}}]}), r#"{\"x"#),
        (json!({"tool_calls": [{"index": 0, "function": {"arguments": "\":1}"}}]}), r#"\":1}"#),
        (json!({"tool_calls": [{"index": 1, "id": "d", "function": {"name": "b"}}]}), "stop"),
    ] {
        let mut out = Vec::new();
        reader.eat(chunk(delta).as_bytes(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(said) && text.ends_with("\n\n"), "{said}: {text}");
    }
}

#[test]
fn nothing_is_said_before_the_first_word_so_that_an_error_can_still_be_a_status() {
    let (out, failure) =
        stream([b": wait\n\ndata: {\"choices\":[]}\n\ndata: {\"error\":\"no\"}\n\n".as_slice()]);

    assert_eq!((out.len(), failure.unwrap().status), (0, 502));
}

/// Begins and ends agree, indexes count up, one message begins.
fn is_well_formed(events: &[Value], ended: bool) {
    let (mut open, mut next) = (None, 0);
    for (nth, event) in events.iter().enumerate() {
        let (kind, index) = (event["type"].as_str().unwrap(), event["index"].as_u64());
        assert_eq!(kind == "message_start", nth == 0, "{events:?}");
        match kind {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)), "{events:?}");
                open = Some(event["content_block"]["type"].as_str().unwrap());
            }
            "content_block_delta" => {
                let fits = match event["delta"]["type"].as_str().unwrap() {
                    "text_delta" => "text",
                    "thinking_delta" => "thinking",
                    _ => "tool_use",
                };
                assert_eq!((open, index), (Some(fits), Some(next)), "{events:?}");
            }
            "content_block_stop" => {
                assert!(open.take().is_some() && index == Some(next), "{events:?}");
                next += 1;
            }
            "message_delta" => assert!(open.is_none() && nth + 2 == events.len(), "{events:?}"),
            _ => {}
        }
    }
    let last = events.last().map(|event| event["type"].clone());
    assert_eq!(last == Some("message_stop".into()), ended, "{events:?}");
}

#[test]
fn every_golden_stream_is_well_formed() {
    for case in cases("streams") {
        let (out, failure) = stream([framed(&case).as_slice()]);
        is_well_formed(&events(&out), failure.is_none());
    }
}

fn pieces() -> impl Strategy<Value = Value> {
    let call = |index: Option<u8>, id: Option<u8>, name: bool, arguments: &str| {
        let mut call = json!({"function": {"arguments": arguments}});
        if let Some(index) = index {
            call["index"] = index.into();
        }
        if let Some(id) = id {
            call["id"] = format!("c{id}").into();
        }
        if name {
            call["function"]["name"] = "tool".into();
        }
        json!({"tool_calls": [call]})
    };
    prop_oneof![
        "[a-z\"\\\\ é😀]{0,4}".prop_map(|text| json!({"content": text})),
        "[a-z]{0,4}".prop_map(|text| json!({"reasoning": text})),
        (
            proptest::option::of(0..3u8),
            proptest::option::of(0..3u8),
            any::<bool>(),
            "(\\{\\}|\\{\"a\":|1\\}|\"\\}\"| )?",
        )
            .prop_map(move |(index, id, name, text)| call(index, id, name, &text)),
    ]
}

proptest! {
    #[test]
    fn whatever_a_provider_says_blocks_begin_and_end_in_turn(
        deltas in proptest::collection::vec(pieces(), 0..12),
        sizes in proptest::collection::vec(1..60usize, 1..6),
    ) {
        let mut text = String::new();
        for delta in deltas {
            text.extend(["data: ", &json!({"choices": [{"delta": delta}]}).to_string(), "\n\n"]);
        }
        text += "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let whole = stream([text.as_bytes()]);
        is_well_formed(&events(&whole.0), whole.1.is_none());

        let (mut rest, mut cut) = (text.as_bytes(), Vec::new());
        for size in sizes.iter().cycle() {
            let (piece, left) = rest.split_at((*size).min(rest.len()));
            cut.push(piece);
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(stream(cut), whole);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,200}") {
        let _stream = stream([bytes.as_slice()]);
        let _stream = stream([format!("data: {text}\n\n").as_bytes()]);
        let _answer = answer(text.as_bytes(), "m");
        let _error = error(400, "application/json", &bytes);
        let _error = error(400, "application/json", json!({"error": {"message": text}}).to_string().as_bytes());
        let ask = Ask { what: What::Messages, betas: "", body: &bytes };
        let _request = request(&ask, &Provider::shipped("vllm").unwrap(), &lane(&json!({})));
    }
}
