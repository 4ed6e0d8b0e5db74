//! The digests of what tools of MCP servers are called with.

use super::super::answered::Block;
use super::super::input::LONGEST;
use super::*;
use contract::canonical;
use contract::envelope::hex;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NAME: &str = "mcp__github__create_issue";

fn digest(json: &str) -> Option<String> {
    canonical::digest(json.as_bytes()).ok().map(|digest| hex(&digest))
}

fn start(index: u32, name: &str, input: &serde_json::Value) -> serde_json::Value {
    json!({"type": "content_block_start", "index": index, "content_block":
        {"type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": input}})
}

fn delta(index: u32, json: &str) -> serde_json::Value {
    json!({"type": "content_block_delta", "index": index, "delta":
        {"type": "input_json_delta", "partial_json": json}})
}

fn text_delta(index: u32, text: &str) -> serde_json::Value {
    json!({"type": "content_block_delta", "index": index, "delta":
        {"type": "text_delta", "text": text}})
}

/// What each tool was called with, whether content is kept or not and however the answer is cut.
fn digests(kind: &str, answer: &str) -> Vec<Option<String>> {
    let mut all = [None, Some(1000), Some(0)].into_iter().flat_map(|budget| {
        [1, 7, 100_000].map(|size| {
            let chunks: Vec<_> = answer.as_bytes().chunks(size).collect();
            let uses = read(kind, &chunks, budget).said.tool_uses;
            uses.into_iter().map(|tool| tool.input_sha256.map(String::from)).collect::<Vec<_>>()
        })
    });
    let first = all.next().unwrap();
    assert!(all.all(|other| other == first), "{kind}: {first:?}");
    first
}

fn of_stream(events: &[serde_json::Value]) -> Vec<Option<String>> {
    digests("text/event-stream", &sse(events))
}

fn of_json(blocks: &str) -> Vec<Option<String>> {
    digests("application/json", &format!(r#"{{"id":"m","content":[{blocks}],"model":"x"}}"#))
}

#[test]
fn what_a_servers_tool_is_called_with_has_its_digest_in_both_forms() {
    let said = r#"{"title": "a \"b\" ä", "n": 1.0, "deep": {"y": [1, {}], "x": null}}"#;
    let otherwise = r#"{"deep":{"x":null,"y":[1,{}]},"n":1,"title":"a \"b\" \u00e4"}"#;
    let expected = digest(otherwise);

    let block =
        |name: &str| format!(r#"{{"type":"tool_use","id":"t","name":"{name}","input":{said}}}"#);
    let blocks = [block("Bash"), block(NAME), block("mcp_other"), block("x__mcp__y")].join(",");
    assert_eq!(of_json(&blocks), [None, expected.clone(), None, None]);
    let (head, tail) = said.split_at(18);
    let mut events = vec![
        json!({"type": "content_block_start", "index": 0, "content_block":
        {"type": "text", "text": ""}}),
        text_delta(0, "{\"no\":1}"),
    ];
    for (index, name) in (1..).zip(["Bash", NAME, "mcp__b__c", "Read"]) {
        events.extend([
            start(index, name, &json!({})),
            delta(index, ""),
            delta(index, head),
            delta(index, tail),
        ]);
    }
    events.push(json!({"type": "message_stop"}));
    assert_eq!(of_stream(&events), [None, expected.clone(), expected.clone(), None]);
    assert_eq!(of_stream(&[start(0, NAME, &json!({"a": 1}))]), [digest(r#"{"a":1}"#)], "at once");
}

#[test]
fn a_tool_without_arguments_is_called_with_an_empty_object() {
    let expected = [digest("{}"), digest("{}")];
    let events = [start(0, NAME, &json!({})), start(1, NAME, &json!({})), delta(1, "")];
    assert_eq!(of_stream(&events), expected);
    assert_eq!(
        of_stream(&[start(0, NAME, &json!({})), delta(0, "{}"), start(1, NAME, &json!(null))]),
        expected
    );
    assert_eq!(
        of_json(&format!(
            r#"{{"type":"tool_use","id":"t","name":"{NAME}","input":{{ }}}},{{"type":"tool_use","id":"t","name":"{NAME}"}}"#
        )),
        expected
    );
}

#[test]
fn the_members_of_a_block_come_in_any_order() {
    let input = r#""input":{"name":"Bash","type":"text"}"#;
    let expected = digest(r#"{"name":"Bash","type":"text"}"#);
    for block in [
        format!(r#"{{{input},"name":"{NAME}","id":"t","type":"tool_use"}}"#),
        format!(r#"{{"name":"{NAME}",{input},"type":"tool_use","id":"t"}}"#),
        format!(r#"{{"type":"tool_use",{input},"id":"t","name":"{NAME}"}}"#),
    ] {
        assert_eq!(of_json(&block), std::slice::from_ref(&expected), "{block}");
    }
    let other = format!(r#"{{{input},"name":"Bash","id":"t","type":"tool_use"}}"#);
    assert_eq!(of_json(&other), [None]);
    let servers = format!(r#"{{{input},"name":"{NAME}","id":"t","type":"server_tool_use"}}"#);
    assert_eq!(of_json(&servers), [], "the provider runs it itself");
}

#[test]
fn an_input_that_is_too_long_or_cannot_be_read_has_no_digest() {
    let long = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    let fits = long(LONGEST);
    let cut: Vec<_> =
        fits.as_bytes().chunks(1000).map(|piece| str::from_utf8(piece).unwrap()).collect();
    let streamed = |pieces: &[&str], more: &str| {
        let mut events = vec![start(0, NAME, &json!({}))];
        events.extend(pieces.iter().map(|piece| delta(0, piece)));
        events.extend([delta(0, more), start(1, NAME, &json!({}))]);
        of_stream(&events)
    };
    assert_eq!(streamed(&cut, ""), [digest(&fits), digest("{}")]);
    assert_eq!(streamed(&cut, " "), [None, digest("{}")], "a byte too many");
    assert_eq!(streamed(&[&"x".repeat(LONGEST)], ""), [None, digest("{}")], "an event too large");
    assert_eq!(streamed(&[r#"{"a":1,"a":2}"#], ""), [None, digest("{}")], "a member twice");
    assert_eq!(streamed(&[r#"{"a":"#], ""), [None, digest("{}")], "not to its end");
    let block =
        |input: &str| format!(r#"{{"type":"tool_use","id":"t","name":"{NAME}","input":{input}}}"#);
    assert_eq!(of_json(&block(&fits)), [digest(&fits)]);
    assert_eq!(of_json(&block(&long(LONGEST + 1))), [None]);
    assert_eq!(of_json(&block(r#"{"a":1,"a":2}"#)), [None]);

    let strays =
        [start(0, NAME, &json!({})), delta(0, "{}"), delta(7, "{}"), start(1, NAME, &json!({}))];
    assert_eq!(of_stream(&strays), [None, digest("{}")], "blocks that mix");
}

#[test]
fn nothing_is_held_of_any_other_block() {
    let held = |json: &str| {
        let mut elements = Elements::default();
        let mut blocks = Blocks::default();
        for byte in json.as_bytes() {
            elements.eat(&[*byte], &mut blocks);
        }
        let Block { input, .. } = elements.into_block();
        (input.held(), blocks.wants_deltas())
    };
    for (kind, name) in [("tool_use", "Bash"), ("server_tool_use", NAME), ("text", NAME)] {
        let json = format!(r#"[{{"type":"{kind}","name":"{name}","input":{{"a":"b"#);
        assert_eq!(held(&json), (0, false), "{kind} {name}");
    }
    assert!(held(&format!(r#"[{{"type":"tool_use","name":"{NAME}","input":{{"a":"b"#)).0 > 0);

    let mut blocks = Blocks::default();
    for (name, wants) in [("Bash", false), (NAME, true), ("Read", false)] {
        blocks.start(start(0, name, &json!({})).to_string().as_bytes(), false);
        assert_eq!(blocks.wants_deltas(), wants, "{name}");
    }
}
