use super::*;
use crate::stages::meter::{Meter, Reading};
use crate::stages::parse;
use contract::audit::{ContentMode, LARGEST_CONTENT, Part, Text};
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod inputs;

fn ask(messages: &serde_json::Value, mode: ContentMode) -> Asked {
    let body = json!({"model": "m-1", "messages": messages}).to_string();
    asked(&parse::request(body.as_bytes()).unwrap().turn, body.as_bytes(), mode)
}

fn input(messages: &serde_json::Value) -> Vec<Part<'static>> {
    ask(messages, ContentMode::Full).content.unwrap().input
}

fn text(text: &str) -> Text<'static> {
    Text { text: text.to_owned().into(), ..Text::default() }
}

/// Bytes of text that these parts take.
fn taken(parts: &[Part<'_>]) -> usize {
    let length = |text: &Text<'_>| text.text.len() + text.tail.as_deref().map_or(0, str::len);
    parts
        .iter()
        .map(|part| match part {
            Part::Text { text } => length(text),
            Part::ToolUse { id, name, input } => id.len() + name.len() + length(input),
            Part::ToolResult { tool_use_id, text, .. } => tool_use_id.len() + length(text),
            Part::Thinking { .. } | Part::Blob { .. } | Part::Unknown => 0,
        })
        .sum()
}

/// The events of a stream, one for each.
fn sse(events: &[serde_json::Value]) -> String {
    events.iter().fold(String::new(), |all, event| {
        all + &format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    })
}

fn read(kind: &str, chunks: &[&[u8]], budget: Option<usize>) -> Reading {
    let mut meter = Meter::new(kind.as_bytes(), None);
    if let Some(budget) = budget {
        meter = meter.keeping(budget);
    }
    for chunk in chunks {
        meter.eat(chunk);
    }
    meter.finish(true)
}

/// One answer in both forms.
fn both_forms() -> [(&'static str, String); 2] {
    let whole = json!({"id": "msg_1", "model": "claude-sonnet-4-5", "content": [
        {"type": "thinking", "thinking": "hmm, \u{e4}", "signature": "c2ln"},
        {"type": "text", "text": "Look: \"\u{20ac}\" \\ \u{1f600}\n"},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls \"\u{e4}\""}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}});
    let start = |index: u32, block: serde_json::Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u32, delta: serde_json::Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stream = [
        json!({"type": "message_start", "message": {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hmm, "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "\u{e4}"})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Look: \"\u{20ac}\" "})),
        delta(1, json!({"type": "text_delta", "text": "\\ \u{1f600}\n"})),
        start(2, json!({"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"command\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "\"ls \\\"\u{e4}\\\"\"}"})),
        start(
            3,
            json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
        ),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"query\":\"x\"}"})),
        start(
            4,
            json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
        ),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];

    [("application/json", whole.to_string()), ("text/event-stream", sse(&stream))]
}

#[test]
fn the_tools_that_an_answer_calls_are_listed_and_those_the_provider_runs_itself_are_not() {
    for (kind, answer) in both_forms() {
        let reading = read(kind, &[answer.as_bytes()], None);

        let said = reading.said;
        assert_eq!(said.tool_uses.len(), 1, "{kind}");
        assert_eq!((&*said.tool_uses[0].id, &*said.tool_uses[0].name), ("toolu_1", "Bash"));
        assert!(!said.tool_uses_cut && reading.complete, "{kind}: {:?}", reading.flags);
        assert_eq!((said.output, said.parts_omitted), (vec![], 0), "nothing else is kept");
    }
}

#[test]
fn an_answer_is_kept_the_same_in_both_forms_however_it_is_cut() {
    let parts = vec![
        Part::Thinking { bytes: 7 },
        Part::Text { text: text("Look: \"\u{20ac}\" \\ \u{1f600}\n") },
        Part::ToolUse {
            id: "toolu_1".into(),
            name: "Bash".into(),
            input: text(r#"{"command":"ls \"ä\""}"#),
        },
        Part::ToolUse {
            id: "srvtoolu_1".into(),
            name: "web_search".into(),
            input: text(r#"{"query":"x"}"#),
        },
    ];
    for (kind, answer) in both_forms() {
        for size in [1, 7, 100_000] {
            let chunks: Vec<_> = answer.as_bytes().chunks(size).collect();
            let said = read(kind, &chunks, Some(1000)).said;
            assert_eq!(said.output, parts, "{kind} in pieces of {size}");
            assert_eq!(said.parts_omitted, 1, "the results of the search");
        }
    }
}

#[test]
fn ids_beyond_the_limits_are_left_out_and_that_is_told() {
    let many: Vec<_> = (0..70)
        .map(|n| json!({"type": "tool_use", "id": format!("t{n}"), "name": "n", "input": {}}))
        .collect();
    let long = json!({"type": "tool_use", "id": "x".repeat(129), "name": "n", "input": {}});
    let fits =
        json!({"type": "tool_use", "id": "x".repeat(128), "name": "y".repeat(128), "input": {}});
    for (blocks, count, cut) in
        [(json!(many), 64, true), (json!([long]), 0, true), (json!([fits]), 1, false)]
    {
        let answer = json!({"content": blocks}).to_string();
        let said = read("application/json", &[answer.as_bytes()], None).said;
        assert_eq!((said.tool_uses.len(), said.tool_uses_cut), (count, cut));
        let events: Vec<_> = blocks
            .as_array()
            .unwrap()
            .iter()
            .map(|block| json!({"type": "content_block_start", "content_block": block}))
            .collect();
        let said = read("text/event-stream", &[sse(&events).as_bytes()], None).said;
        assert_eq!((said.tool_uses.len(), said.tool_uses_cut), (count, cut), "in a stream");
    }
}

#[test]
fn a_block_too_large_to_be_read_costs_neither_the_usage_nor_a_tool() {
    let results = json!({"type": "content_block_start", "index": 0, "content_block":
        {"type": "web_search_tool_result", "content": "x".repeat(100_000)}});
    let [_, (_, rest)] = both_forms();
    let stream = sse(&[results]) + &rest;

    let reading = read("text/event-stream", &[stream.as_bytes()], Some(1000));

    assert!(reading.complete && !reading.said.tool_uses_cut, "{:?}", reading.flags);
    assert_eq!((reading.said.tool_uses.len(), reading.said.parts_omitted), (1, 2));
}

#[test]
fn the_calls_that_a_request_continues_are_those_its_last_turn_answers() {
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "ok"});
    let messages = |role: &str| {
        json!([
            {"role": "user", "content": [result("old")]},
            {"role": "assistant", "content": "on"},
            {"role": role, "content": [result("a"), {"type": "text", "text": "and"}, result("b")]},
        ])
    };

    for mode in [ContentMode::None, ContentMode::Full] {
        assert_eq!(ask(&messages("user"), mode).answers, ["a", "b"], "the old one has its row");
        assert!(ask(&messages("assistant"), mode).answers.is_empty(), "only a user answers");
    }
    let many: Vec<_> = (0..70).map(|n| result(&n.to_string())).collect();
    let asked = ask(&json!([{"role": "user", "content": many}]), ContentMode::None);
    assert_eq!((asked.answers.len(), asked.answers_cut), (64, true));
    let long =
        ask(&json!([{"role": "user", "content": [result(&"x".repeat(129))]}]), ContentMode::None);
    assert_eq!((long.answers.len(), long.answers_cut), (0, true));
}

#[test]
fn what_the_policy_does_not_keep_is_not_read() {
    let asked = ask(&json!([{"role": "user", "content": "secret"}]), ContentMode::None);

    assert_eq!(asked.content, None);
    assert!(!format!("{asked:?}").contains("secret"));
}

#[test]
fn the_turn_that_is_new_is_kept_and_what_comes_before_is_named_by_a_digest() {
    let messages = json!([{"role": "user", "content": "old"}, {"role": "assistant", "content": "older"},
        {"role": "user", "content": "new"}]);

    let content = ask(&messages, ContentMode::Redacted).content.unwrap();

    assert_eq!(content.mode, ContentMode::Redacted);
    assert_eq!(content.input, [Part::Text { text: text("new") }]);
    let history = content.history.unwrap();
    let raw = br#"{"content":"old","role":"user"},{"content":"older","role":"assistant"}"#;
    assert_eq!((history.messages, history.bytes), (2, raw.len() as u64));
    assert_eq!(history.xxh3, format!("{:032x}", xxhash_rust::xxh3::xxh3_128(raw)));
    let one = ask(&json!([{"role": "user", "content": "new"}]), ContentMode::Full).content.unwrap();
    assert_eq!(one.history, None);
}

#[test]
fn each_kind_of_part_is_kept_in_its_own_form() {
    let data = "aGVsbG8=";
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    let by_url = json!({"type": "document", "source": {"type": "url", "url": "https://x"}});
    let found = json!({"type": "search_result", "source": "https://x", "content": []});
    let parts = input(&json!([{"role": "user", "content": [
        {"type": "text", "text": "see \u{e4}\n", "cache_control": {"type": "ephemeral"}},
        image,
        {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
            {"type": "text", "text": "one"}, image, {"type": "text", "text": "two"}]},
        {"type": "tool_result", "tool_use_id": "toolu_2"},
        {"type": "tool_use", "id": "toolu_3", "name": "never", "input": {}},
        by_url,
        found,
    ]}]));

    let blob = |kind: &str, media_type: Option<&str>, bytes: &str| Part::Blob {
        kind: kind.to_owned().into(),
        media_type: media_type.map(|media_type| media_type.to_owned().into()),
        bytes: bytes.len() as u64,
        sha256: contract::envelope::hex(&Sha256::digest(bytes)),
    };
    let png = blob("image", Some("image/png"), data);
    assert_eq!(
        parts,
        [
            Part::Text { text: text("see \u{e4}\n") },
            png.clone(),
            Part::ToolResult {
                tool_use_id: "toolu_1".into(),
                is_error: true,
                text: text("one\ntwo")
            },
            png,
            Part::ToolResult { tool_use_id: "toolu_2".into(), is_error: false, text: text("") },
            blob("document", None, &by_url.to_string()),
            blob("search_result", None, &found.to_string()),
        ]
    );
}

#[test]
fn a_row_never_keeps_more_text_than_it_may() {
    let long = "ab\u{e4}\\\"".repeat(20_000);
    let turn = json!([{"role": "user", "content": [
        {"type": "text", "text": long}, {"type": "text", "text": "short"},
        {"type": "tool_result", "tool_use_id": "t", "content": long}]}]);
    let asked = ask(&turn, ContentMode::Full);
    let input = asked.content.unwrap().input;
    assert!(taken(&input) <= LARGEST_TURN && taken(&input) > LARGEST_TURN * 2 / 3);
    assert_eq!(input[1], Part::Text { text: text("short") }, "the short one is whole");

    let blocks: Vec<_> =
        (0..50).map(|n| json!({"type": "text", "text": format!("{n}{long}")})).collect();
    let answer = json!({"content": blocks}).to_string();
    let said = read("application/json", &[answer.as_bytes()], Some(asked.left)).said;
    let all = taken(&input) + taken(&said.output);
    assert!(all <= LARGEST_CONTENT && all > LARGEST_CONTENT - 300, "{all}");
    assert_eq!((said.output.len(), said.parts_omitted), (MOST_PARTS, 50 - 32));
    let Part::Text { text } = &said.output[31] else { panic!("a text") };
    assert!(text.text.starts_with("31ab") && text.tail.as_deref().unwrap().ends_with("\\\""));
    assert!(text.omitted > 100_000);
}

#[test]
fn a_message_that_two_readers_could_read_in_two_ways_is_flagged() {
    for message in [
        r#"{"role":"user","content":"a","content":"b"}"#,
        r#"{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}"#,
        r#"{"role":"user","content":[1]}"#,
        r#"{"role":"user"}"#,
        "7",
    ] {
        let body = format!(r#"{{"model":"m-1","messages":[{message}]}}"#);
        let turn = parse::request(body.as_bytes()).unwrap().turn;
        assert!(asked(&turn, body.as_bytes(), ContentMode::Full).unreadable, "{message}");
    }
}

#[test]
fn a_list_of_millions_takes_no_memory() {
    let body = format!(
        r#"{{"model":"m-1","messages":[{{"role":"user","content":[{}1]}}]}}"#,
        r#"{"type":"text","text":""},"#.repeat(100_000)
    );
    let turn = parse::request(body.as_bytes()).unwrap().turn;

    let content = asked(&turn, body.as_bytes(), ContentMode::Full).content.unwrap();

    assert_eq!((content.input.len(), content.parts_omitted), (32, 100_000 - 32));
}

proptest! {
    #[test]
    fn no_message_panics(message in "\\PC{0,200}") {
        let body = format!(r#"{{"model":"m-1","messages":[{message}]}}"#);
        if let Ok(request) = parse::request(body.as_bytes()) {
            let _asked = asked(&request.turn, body.as_bytes(), ContentMode::Full);
        }
    }

    #[test]
    fn no_answer_panics_and_its_cuts_change_nothing(
        bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b','), Just(b':'), any::<u8>()], 0..200),
        at in 0usize..300, stream in any::<bool>(), budget in 0usize..64,
    ) {
        let mut answer: Vec<u8> = if stream { b"event: content_block_delta\ndata: ".to_vec() } else { br#"{"content":[{"type":"text","text":""#.to_vec() };
        answer.extend(bytes);
        let kind = if stream { "text/event-stream" } else { "application/json" };
        let (one, two) = answer.split_at(at.min(answer.len()));

        let whole = read(kind, &[&answer], Some(budget));
        prop_assert!(taken(&whole.said.output) <= budget);
        prop_assert_eq!(read(kind, &[one, two], Some(budget)), whole);
    }
}

/// Claude Code puts a message of role `system` behind the user's.
#[test]
fn a_turn_of_several_messages_is_read_whole_and_goes_back_to_the_last_answer() {
    let messages = json!([
        {"role": "user", "content": "earlier"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
        {"role": "user", "content": "go on"},
        {"role": "system", "content": "a reminder"},
    ]);

    let asked = ask(&messages, ContentMode::Full);

    assert_eq!(asked.answers, ["toolu_1"]);
    assert!(!asked.unreadable);
    let content = asked.content.unwrap();
    let kinds: Vec<_> = content
        .input
        .iter()
        .map(|part| match part {
            Part::Text { text } => text.text.to_string(),
            Part::ToolResult { tool_use_id, .. } => tool_use_id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["toolu_1", "go on", "a reminder"], "in their order");
    assert_eq!(content.history.map(|history| history.messages), Some(2));
}

#[test]
fn an_answer_that_the_client_begins_is_of_its_turn() {
    let messages = json!([
        {"role": "assistant", "content": "earlier"},
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "{"},
    ]);

    let content = ask(&messages, ContentMode::Full).content.unwrap();

    assert_eq!(content.input.len(), 2);
    assert_eq!(content.history.map(|history| history.messages), Some(1));
}
