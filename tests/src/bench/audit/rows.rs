//! Rows as the gate's calls leave them, in great number.

use contract::audit::{
    CallSource, Content, ContentMode, Event, FineUsage, History, Kind, Outcome, Part, Payload,
    Sequence, Text,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A payload of 2 KB: a tool's result, some lines of answer.
    Typical,
    /// As much content as a row keeps.
    Capped,
}

impl Size {
    /// Bytes of text, turn and answer.
    fn texts(self) -> (usize, usize) {
        match self {
            Self::Typical => (800, 420),
            Self::Capped => (6 * 1024, 2 * 1024),
        }
    }
}

/// Makes rows, each once.
#[derive(Debug)]
pub struct Maker {
    size: Size,
    begun: u64,
    next: u64,
}

/// What people and models write compresses badly enough that no database gets it for nothing.
const WORDS: [&str; 16] = [
    "the test ",
    "fails ",
    "because ",
    "`map.get` ",
    "returns ",
    "None ",
    "when ",
    "a key ",
    "is ",
    "missing; ",
    "I added ",
    "a check ",
    "in line ",
    "and ran ",
    "cargo ",
    "again.\n",
];

impl Maker {
    /// Of this size, from now on.
    pub fn new(size: Size) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();

        Self { size, begun: u64::try_from(now.as_micros()).unwrap_or_default(), next: 0 }
    }

    /// So many more.
    pub fn make(&mut self, count: usize) -> Vec<Event<'static>> {
        (0..count).map(|_| self.one()).collect()
    }

    fn one(&mut self) -> Event<'static> {
        self.next += 1;
        let n = self.next;
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id = format!("{:08x}-{:04x}-4000-8000-{:012x}", mixed >> 32, mixed & 0xffff, n);
        let person = mixed % 1_000;
        let (input, output) = self.size.texts();

        Event {
            event_id: id.clone().into(),
            occurred_at: self.begun + n,
            tenant_id: "acme".into(),
            user_id: format!("person{person}@example.com").into(),
            session_id: Some(format!("{person:08x}-5e55-4000-8000-{:012x}", n / 50_000).into()),
            trace_id: Some(format!("{person:016x}{:016x}", n / 100).into()),
            client_id: Some("tollgate-helper".into()),
            policy_ver: Some("9f86d081884c7d65".into()),
            bundle_ver: Some("9f86d081884c7d65".into()),
            call_source: Some(CallSource::Cowork),
            kind: Kind::Inference,
            model: Some("claude-sonnet-4-5".into()),
            provider: Some("anthropic".into()),
            upstream_region: Some("us".into()),
            department: Some("engineering".into()),
            tokens_in: Some(321),
            tokens_out: Some(mixed % 900),
            tokens_cache_read: Some(18_000),
            cost_micro: Some(12_345),
            latency_ms: Some(2_100),
            gate_ms: Some(0.125),
            first_token_ms: Some(410),
            status: Some(200),
            outcome: Outcome::Allowed,
            rule_id: Some("everyone".into()),
            credential_id: Some(format!("pat_{person:016x}").into()),
            request_id: Some(id.into()),
            complete: true,
            payload: payload(n, person, (text(mixed, input), text(!mixed, output))),
            ..Event::default()
        }
    }
}

fn payload(n: u64, person: u64, (input, output): (String, String)) -> Payload<'static> {
    let part = |text: String| Part::Text { text: Text { text: text.into(), ..Text::default() } };

    Payload {
        department: Some("engineering".into()),
        requested_model: Some("claude-sonnet-4-5-20250929".into()),
        iss: Some("https://tollgate.localhost".into()),
        sub: Some(format!("usr_{person:016x}").into()),
        source_address: Some("10.20.30.40".into()),
        provider_request_id: Some(format!("req_{n:020x}").into()),
        streamed: Some(true),
        stop_reason: Some("end_turn".into()),
        usage: Some(FineUsage { cache_write_5m: Some(0), ..FineUsage::default() }),
        sequence: Some(Sequence { boot: 1_763_730_000_000_000_000, vm: 2, n }),
        content_sha256: Some(format!("{n:064x}").into()),
        content: Some(Content {
            mode: ContentMode::Redacted,
            input: vec![part(input)],
            output: vec![part(output)],
            history: Some(History { messages: 12, bytes: 75_000, xxh3: format!("{n:032x}") }),
            parts_omitted: 0,
        }),
        ..Payload::default()
    }
}

fn text(seed: u64, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    let mut dice = crate::storm::dice::Dice::new(u32::try_from(seed >> 32).unwrap_or_default());
    while text.len() < bytes {
        let word = usize::try_from(dice.below(16)).unwrap_or_default();
        text.push_str(WORDS[word]);
    }
    text.truncate(bytes);

    text
}
