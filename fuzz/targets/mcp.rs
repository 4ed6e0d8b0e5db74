//! MCP: no bytes of a client or a server panic; what a server says shows no reader a tool that is closed, and in whatever
//! pieces it comes it says the same.
#![no_main]

use contract::canonical;
use contract::mcp::{Era, Protocol};
use contract::policy::{Policy, Subject};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tollgate_filter::mcp::answer::View;
use tollgate_filter::mcp::message;
use tollgate_filter::mcp::relay::{Chunk, Relay};
use tollgate_filter::stages::mcp::Called;

const POLICY: &[u8] = br#"{"schema":"tollgate.policy/v1","name":"n","rules":[{"id":"a","models":["*"]}],
    "servers":[{"id":"s","gateway":{"tools":{"open":"allow"},"resources":{"file:///open/*":"allow"},"largest_result":4096}}]}"#;

static JUDGE: LazyLock<Policy> = LazyLock::new(|| Policy::parse(POLICY).expect("a policy"));
static PROTOCOL: LazyLock<Protocol> = LazyLock::new(|| Protocol::shipped().expect("a protocol"));

fn relayed(kind: &str, bytes: &[u8], size: usize) -> Vec<u8> {
    let subject = Subject { tenant: "t", user: "u", ..Subject::default() };
    let server = JUDGE.mcp(&subject, "s").expect("a server");
    let view = View {
        server: &server,
        policy: &JUDGE,
        subject: &subject,
        protocol: &PROTOCOL,
        era: Era::Sessions,
        id: Some("7"),
        request_id: "r",
    };
    let called = Called { id: Some("7".into()), largest_result: 4096, ..Called::default() };
    let mut relay = Relay::new(200, kind, None, &called).expect("a form");
    let (mut out, mut held) = (Vec::new(), Vec::new());
    let count = bytes.chunks(size).count();
    for (nth, piece) in bytes.chunks(size).enumerate() {
        held.extend_from_slice(piece);
        match relay.eat(&view, &held, nth + 1 == count) {
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

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = message::read(text);
        let _ = message::members(text, ["name", "uri"]);
    }
    if let Ok(once) = canonical::write(bytes) {
        assert_eq!(canonical::write(&once).as_ref(), Ok(&once));
    }
    let whole = relayed("text/event-stream", bytes, bytes.len().max(1));
    assert_eq!(relayed("text/event-stream", bytes, 3), whole);
    relayed("application/json", bytes, 7);
});
