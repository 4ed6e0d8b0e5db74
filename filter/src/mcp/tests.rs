//! Whatever a server sends, and whoever reads it behind us.

use super::answer::View;
use super::events::{Event, Events, write};
use super::message::{self, Fault, Kind};
use super::relay::{Chunk, Relay};
use crate::stages::mcp::Called;
use contract::mcp::{Era, Protocol};
use contract::policy::{Policy, Subject};
use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What of these bytes reaches the client, when they come in pieces of so many.
fn relayed(kind: &str, bytes: &[u8], size: usize) -> Vec<u8> {
    let policy = json!({
        "schema": contract::policy::SCHEMA, "name": "t", "rules": [{"id": "a", "models": ["*"]}],
        "servers": [{"id": "s", "gateway": {"tools": {"open": "allow"}}}],
    });
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    let subject = Subject { tenant: "t", user: "u", ..Subject::default() };
    let (server, protocol) = (policy.mcp(&subject, "s").unwrap(), Protocol::shipped().unwrap());
    let view = View {
        server: &server,
        policy: &policy,
        subject: &subject,
        protocol: &protocol,
        era: Era::Sessions,
        id: Some("7"),
        request_id: "r",
    };
    let called = Called { id: Some("7".into()), largest_result: 1 << 20, ..Called::default() };
    let mut relay = Relay::new(200, kind, None, &called).unwrap();
    let (mut out, mut held) = (Vec::new(), Vec::new());
    let pieces: Vec<&[u8]> = bytes.chunks(size.max(1)).collect();
    for (nth, piece) in pieces.iter().enumerate() {
        held.extend_from_slice(piece);
        match relay.eat(&view, &held, nth + 1 == pieces.len()) {
            Chunk::AsItIs => out.append(&mut held),
            Chunk::Held => {}
            Chunk::Instead(bytes) => {
                out.extend(bytes);
                held.clear();
            }
        }
    }
    out
}

/// The messages that a reader sees who ends lines at these.
fn read_by(text: &str, ends: &[char]) -> Vec<Value> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let (mut seen, mut data) = (Vec::new(), Vec::new());
    for line in text.split(|c| ends.contains(&c)).chain([""]) {
        match line.strip_prefix("data:") {
            Some(value) => data.push(value.strip_prefix(' ').unwrap_or(value).to_owned()),
            None if line.is_empty() => {
                seen.extend(serde_json::from_str::<Value>(&data.join("\n")));
                data.clear();
            }
            None => {}
        }
    }
    seen
}

const STRICT: &[char] = &['\n', '\r'];
/// As Python's `splitlines`.
const LOOSE: &[char] =
    &['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Does a message show a tool that is closed, to who looks at names whatever their case?
fn shows_closed(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, member)| {
            let list = name.eq_ignore_ascii_case("tools") && member.to_string().contains("closed");
            list || (name.eq_ignore_ascii_case("result") && shows_closed(member))
        }),
        _ => false,
    }
}

const EVIL: &str =
    r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"closed"},{"name":"open"}]}}"#;

fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "data: ",
        "data:",
        "data",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\u{b}",
        "\u{c}",
        "\u{1c}",
        ":",
        ": ",
        "event: message\n",
        "id: 1\n",
        "retry: 5\n",
        "\u{feff}",
        EVIL,
        r#"{"jsonrpc":"2.0","id":7,"result":{"Tools":[{"name":"closed"}]}}"#,
        r#"{"jsonrpc":"2.0","id":8,"result":{"tools":[{"name":"closed"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"tools":[{"name":"closed"}]}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"x":"#,
        "\"",
        "}}",
        " ",
        "{",
        "}",
    ];
    prop::sample::select(fixed.map(ToOwned::to_owned).to_vec())
}

proptest! {
    #[test]
    fn no_reader_sees_a_tool_that_is_closed(
        pieces in proptest::collection::vec(piece(), 0..40), size in 1usize..60,
    ) {
        let stream = pieces.concat();
        for text in [stream.clone(), format!("{stream}\n\n"), format!("data: {EVIL}\n\n{stream}")] {
            let got = String::from_utf8(relayed("text/event-stream", text.as_bytes(), size)).unwrap();
            for ends in [STRICT, LOOSE] {
                for message in read_by(&got, ends) {
                    prop_assert!(!shows_closed(&message), "{message} in {got:?} of {text:?}");
                }
            }
        }
    }

    #[test]
    fn wherever_a_stream_is_cut_it_says_the_same(
        pieces in proptest::collection::vec(piece(), 0..30), size in 1usize..60,
    ) {
        let stream = pieces.concat();
        let whole = relayed("text/event-stream", stream.as_bytes(), stream.len());

        prop_assert_eq!(relayed("text/event-stream", stream.as_bytes(), size), whole);
    }

    #[test]
    fn no_bytes_of_a_body_show_a_tool_that_is_closed(
        pieces in proptest::collection::vec(piece(), 0..8), raw in any::<Vec<u8>>(), size in 1usize..60,
    ) {
        for body in [pieces.concat().into_bytes(), raw] {
            let got = relayed("application/json", &body, size);
            if let Ok(message) = serde_json::from_slice::<Value>(&got) {
                prop_assert!(!shows_closed(&message), "{message}");
            }
            drop(relayed("text/event-stream", &body, size));
        }
    }

    #[test]
    fn an_event_that_is_written_is_read_as_it_was(
        name in "[a-z]{0,8}", id in proptest::option::of("[ -~&&[^ ]][!-~]{0,12}"), lines in "[a-z{}\":\u{e9}\u{1f600}]{0,30}",
    ) {
        let event = Event {
            name: name.into_bytes(),
            id: id.map(String::into_bytes),
            data: Some(lines.into_bytes()),
            ..Event::default()
        };
        let mut out = Vec::new();
        write(&event, &mut out);
        let mut read = Vec::new();
        Events::default().eat(&out, 1000, &mut |event| read.push(event));

        prop_assert_eq!(read, [event]);
    }
}

#[test]
fn a_message_is_what_its_members_say_and_nothing_between() {
    let kind = |text: &str| message::read(text).map(|message| message.kind);

    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#), Ok(Kind::Request));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":"x","result":{}}"#), Ok(Kind::Result));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"a","params":{}}"#), Ok(Kind::Notification));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#), Ok(Kind::Error));
    for bad in [
        "",
        "7",
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a"} x"#,
    ] {
        assert_eq!(kind(bad), Err(Fault::Malformed), "{bad}");
    }
    assert_eq!(kind(r#" [{"jsonrpc":"2.0"}]"#), Err(Fault::Batch));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#), Err(Fault::Twice));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"Id":2,"method":"a"}"#), Err(Fault::Twice));
}
