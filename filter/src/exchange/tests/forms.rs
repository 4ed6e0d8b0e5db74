//! A verdict never depends on the form of a body: not on the order of its members, not on how its
//! characters are written, not on the pieces it comes in.

use super::*;
use crate::feed::Document;
use crate::gate::tests::document;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn gate() -> Rc<Gate> {
    let host = FakeHost::default();
    host.now.set(NOW * 1_000_000_000);
    let gate = ready(&host, &json!([]));
    let policy = json!({
        "rules": [{"id": "all", "models": ["claude-*"]}, {"id": "no", "models": ["*opus*"], "effect": "deny"}],
        "tools": [{"id": "shell", "tools": {"Bash": "blocked", "web_search": "ask"}}],
        "servers": [{"id": "git", "url": "https://git.example.com/mcp"}],
        "secrets": [{"id": "keys", "patterns": ["github_*"], "action": "deny"}],
        "blocklists": [{"id": "words", "words": ["Project Bluebird"], "action": "flag"}],
    });
    gate.take(Document::Policy, &document(policy)).unwrap();
    Rc::new(gate)
}

/// A body whose parts may each be a reason to refuse it.
fn body() -> impl Strategy<Value = Value> {
    let secret = format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF2hJ5".get(..36).unwrap());
    let texts =
        vec!["Hello.".to_owned(), format!("use {secret} now"), "about project bluebird".into()];
    (
        select(&["claude-sonnet-4-5", "claude-opus-5", "gpt-5"][..]),
        select(&["Read", "Bash", "web_search"][..]),
        select(&["https://git.example.com/mcp", "https://evil.example/mcp"][..]),
        proptest::collection::vec(select(texts), 1..3),
    )
        .prop_map(|(model, tool, url, texts)| {
            let content: Vec<Value> =
                texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
            json!({
                "model": model, "max_tokens": 1, "tools": [{"name": "Read"}, {"name": tool}],
                "mcp_servers": [{"type": "url", "name": "git", "url": url}],
                "messages": [{"role": "user", "content": content}],
            })
        })
}

/// The same body, written with its members turned round and some characters escaped.
fn written(value: &Value, turn: usize, escapes: &[bool]) -> String {
    let mut drawn = escapes.iter().cycle();
    let mut text = |text: &str| -> String {
        let signs = text.chars().map(|sign| match sign {
            '"' | '\\' => format!("\\{sign}"),
            sign if sign.is_ascii() && *drawn.next().unwrap() => {
                format!("\\u{:04x}", u32::from(sign))
            }
            '/' => "\\/".into(),
            sign => sign.into(),
        });
        format!("\"{}\"", signs.collect::<String>())
    };

    write(value, turn, &mut text)
}

fn write(value: &Value, turn: usize, text: &mut dyn FnMut(&str) -> String) -> String {
    match value {
        Value::Object(map) => {
            let mut members: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{} : {}", text(name), write(value, turn, text)))
                .collect();
            let by = turn % members.len().max(1);
            members.rotate_left(by);
            format!("{{ {} }}", members.join(" ,\n"))
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(|value| write(value, turn, text)).collect();
            format!("[{}]", list.join(", "))
        }
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// Code, rule and findings of a call.
fn verdict(
    gate: &Rc<Gate>,
    body: &str,
    pieces: usize,
) -> (Option<String>, Option<String>, Vec<(String, String)>) {
    let host = world(&token(|_| {}), body);
    let mut exchange = Exchange::new(Rc::clone(gate));
    exchange.request_headers(&host, false);
    for piece in 1..pieces {
        exchange.request_body(&host, body.len() * piece / pieces, false);
    }
    exchange.request_body(&host, body.len(), true);
    let replies = host.replies.borrow();
    let code = replies.first().map(|reply| {
        let code = reply.headers.iter().find(|(name, _)| name == "x-tollgate-refusal");
        code.unwrap().1.clone()
    });
    drop(replies);
    exchange.finished(&host);
    let row = row(&host);
    let mut findings: Vec<(String, String)> = row
        .payload
        .findings
        .iter()
        .map(|found| (found.rule_id.to_string(), found.place.to_string()))
        .collect();
    findings.sort();
    (code, row.rule_id.map(|rule| rule.to_string()), findings)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_form_of_a_body_decides_nothing(
        body in body(), turn in 0usize..5, pieces in 1usize..6,
        escapes in proptest::collection::vec(any::<bool>(), 1..40),
    ) {
        let gate = gate();

        let plain = verdict(&gate, &body.to_string(), 1);
        let other = verdict(&gate, &written(&body, turn, &escapes), pieces);

        prop_assert_eq!(plain, other);
    }
}
