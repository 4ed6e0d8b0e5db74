use super::*;
use crate::lane::dialect::{Ask, Outgoing, Stream, Unmappable, What};
use crate::lane::family::Terms;
use serde_json::{Value, json};

mod bounds;
mod cuts;
mod golden;
mod rows;
mod words;

fn lane(params: &Value) -> Terms {
    let params = serde_json::from_value(params.clone()).unwrap();

    Terms { models: [("*".to_owned(), "big-1".to_owned())].into(), params }
}

/// Says a body in a provider's words.
fn said(id: &str, params: &Value, asked: &Value) -> Result<Outgoing, Unmappable> {
    let body = asked.to_string();
    let ask = Ask { what: What::Messages, betas: "", body: body.as_bytes() };

    request(&ask, &Provider::shipped(id).unwrap(), &lane(params))
}

/// The body that a provider gets.
fn body(outgoing: &Outgoing) -> Value {
    serde_json::from_slice(outgoing.body.as_ref().unwrap()).unwrap()
}

fn question(more: &Value) -> Value {
    let mut asked = json!({"model": "m", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello."}]});
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

/// Feeds pieces to a reader: what it wrote, and what it failed with.
fn stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Failure>) {
    let (mut reader, mut out) = (Reader::new("claude-sonnet-4-5"), Vec::new());
    for piece in pieces {
        if let Err(failure) = reader.eat(piece, &mut out) {
            return (out, Some(failure));
        }
    }
    let failure = reader.end(&mut out).err();

    (out, failure)
}

/// The data of events that were written; each stands under its own name.
fn events(out: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "whole events: {text}");
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect()
}
