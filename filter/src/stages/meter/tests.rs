use super::*;
mod bills;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const STREAM: &str = concat!(
    ": a comment\n",
    "event: message_start\r\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":7,\"cache_read_input_tokens\":3,\"cache_creation\":{\"ephemeral_5m_input_tokens\":5,\"ephemeral_1h_input_tokens\":2},\"output_tokens\":1}}}\r\n\r\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"\\\"usage\\\":{\\\"output_tokens\\\":999}\"}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: brand_new\ndata: {\"usage\":{\"output_tokens\":888}}\n\n",
    "event: message_delta\rdata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{\"output_tokens\":9}}\r\r",
    "event: message_delta\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":null,\"output_tokens\":15}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// Usage, is it complete, flags.
type Read = (Usage, bool, Vec<&'static str>);

fn read(meter: Meter, transported: bool) -> Read {
    let reading = meter.finish(transported);
    (reading.usage, reading.complete, reading.flags)
}

fn stream(chunks: &[&[u8]], whole: bool) -> Read {
    let mut meter = Meter::new(b"text/event-stream; charset=utf-8", None);
    for chunk in chunks {
        meter.eat(chunk);
    }
    read(meter, whole)
}

fn json(text: &str, whole: bool) -> Read {
    let mut meter = Meter::new(b"application/json", None);
    meter.eat(text.as_bytes());
    read(meter, whole)
}

#[test]
fn a_stream_is_read_to_its_end() {
    let (usage, complete, flags) = stream(&[STREAM.as_bytes()], true);

    assert!(complete && flags.is_empty(), "{flags:?}");
    assert_eq!((usage.input, usage.output), (Some(25), Some(15)), "the last number said, no sum");
    assert_eq!((usage.cache_write, usage.cache_read), (Some(7), Some(3)));
    assert_eq!((usage.fine.cache_write_5m, usage.fine.cache_write_1h), (Some(5), Some(2)));
    assert_eq!(usage.model.as_deref(), Some("claude-sonnet-4-5"));
    assert_eq!(usage.stop_reason.as_deref(), Some("end_turn"));
}

#[test]
fn a_stream_cut_short_yields_what_is_known_and_is_not_complete() {
    let cut = STREAM.find("event: message_stop").unwrap();

    let (usage, complete, _) = stream(&[&STREAM.as_bytes()[..cut]], true);
    assert_eq!((usage.output, complete), (Some(15), false), "no message_stop");

    let (_, complete, _) = stream(&[STREAM.as_bytes()], false);
    assert!(!complete, "the transport was cut");
}

#[test]
fn an_error_after_the_beginning_is_told() {
    let text = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";

    let mut meter = Meter::new(b"text/event-stream", None);
    meter.eat(STREAM.as_bytes());
    meter.eat(text.as_bytes());
    let reading = meter.finish(true);

    assert_eq!((reading.whole, reading.complete), (false, false));
    assert_eq!(reading.flags, [flags::PROVIDER_ERROR]);
}

#[test]
fn events_without_a_name_are_known_by_their_type() {
    let kept: Vec<_> = STREAM.lines().filter(|line| !line.starts_with("event")).collect();
    let nameless = kept.join("\n") + "\n\n";
    // The lone CRs of the mixed stream hide one event inside a longer line; the last one counts.
    let (usage, complete, _) = stream(&[nameless.as_bytes()], true);

    assert_eq!((usage.input, usage.output, complete), (Some(25), Some(15), true));
}

#[test]
fn a_json_answer_is_read_without_its_text() {
    let (usage, complete, flags) = json(
        r#"{"id":"m","model":"claude-haiku-4-5","content":[{"type":"text","text":"\"usage\":{\"output_tokens\":1}}"}],
           "nested":{"usage":{"output_tokens":2}},"stop_reason":"end_turn",
           "usage":{"input_tokens":10,"output_tokens":20,"server_tool_use":{"web_search_requests":3},"service_tier":"standard"}}"#,
        true,
    );

    assert!(complete && flags.is_empty(), "{flags:?}");
    assert_eq!((usage.input, usage.output), (Some(10), Some(20)));
    assert_eq!(usage.fine.web_searches, Some(3));
    assert_eq!(usage.model.as_deref(), Some("claude-haiku-4-5"));
}

#[test]
fn usage_that_is_missing_null_or_nonsense_is_flagged_and_never_zero() {
    for (text, flag) in [
        (r#"{"content":[]}"#, flags::USAGE_MISSING),
        (r#"{"usage":null}"#, flags::USAGE_MISSING),
        (r#"{"usage":{"input_tokens":-1,"output_tokens":1}}"#, flags::UNREADABLE),
        (r#"{"usage":"none"}"#, flags::UNREADABLE),
    ] {
        let (usage, complete, flags) = json(text, true);
        assert_eq!((usage.output, complete, flags), (None, false, vec![flag]), "{text}");
    }
}

#[test]
fn a_count_is_input_alone() {
    let (usage, complete, flags) = json(r#"{"input_tokens":2095}"#, true);

    assert_eq!((usage.input, complete, flags), (Some(2095), true, vec![]));
}

#[test]
fn what_cannot_be_read_is_flagged() {
    let compressed = Meter::new(b"application/json", Some(b"gzip"));
    assert_eq!(compressed.finish(true).flags, [flags::COMPRESSED]);
    let page = Meter::new(b"text/html", None);
    assert_eq!(page.finish(true).flags, [flags::OTHER_TYPE]);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut meter = Meter::new(b"text/event-stream", None);
    meter.eat(b"data: ");
    for _ in 0..1000 {
        meter.eat(&[b'x'; 1000]);
    }
    meter.eat(b"\n\n");

    let (_, complete, flags) = read(meter, true);
    assert_eq!((complete, flags), (false, vec![flags::TOO_LARGE]));
}

proptest! {
    #[test]
    fn a_stream_is_metered_the_same_however_it_is_cut(cuts in proptest::collection::vec(0..STREAM.len(), 0..20)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&STREAM.as_bytes()[from..cut]);
            from = cut;
        }
        chunks.push(&STREAM.as_bytes()[from..]);

        prop_assert_eq!(stream(&chunks, true), stream(&[STREAM.as_bytes()], true));
    }

    #[test]
    fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), sse in any::<bool>()) {
        let kind: &[u8] = if sse { b"text/event-stream" } else { b"application/json" };
        let mut meter = Meter::new(kind, None);
        meter.eat(&bytes);
        let _result = meter.finish(true);
    }
}
