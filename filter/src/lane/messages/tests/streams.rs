use super::*;
use crate::lane::messages::stream;
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    provider: String,
    lane: Terms,
    asked: String,
    parts: Vec<Part>,
    /// So many bytes of the end never come.
    cut: usize,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// A frame with an event in it.
    Event(String),
    /// A frame of an event of another type.
    Other(String),
    /// A frame with an exception: its name, its payload.
    Exception(String, String),
    /// A frame with an error: its code, its message.
    Error(String, String),
    /// Bytes of a frame.
    Hex(String),
    /// Text of a stream that has no frames.
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    text: String,
    failure: Option<(u16, String)>,
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        let chunk = |kind: &str, event: &str| {
            let bytes = STANDARD.encode(event);
            // The second member hides how long the first one is, as Amazon's does.
            let payload = format!(r#"{{"bytes":"{bytes}","p":"abcdefghij"}}"#);
            let headers = [
                (":event-type", kind),
                (":content-type", "application/json"),
                (":message-type", "event"),
            ];
            framed(&texts(&headers), payload.as_bytes())
        };
        match self {
            Self::Event(event) => chunk("chunk", event),
            Self::Other(kind) => chunk(kind, "{}"),
            Self::Exception(name, payload) => {
                let headers = [
                    (":exception-type", &**name),
                    (":content-type", "application/json"),
                    (":message-type", "exception"),
                ];
                framed(&texts(&headers), payload.as_bytes())
            }
            Self::Error(code, message) => {
                let headers = [
                    (":error-code", &**code),
                    (":error-message", message),
                    (":message-type", "error"),
                ];
                framed(&texts(&headers), b"")
            }
            Self::Hex(digits) => (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2).unwrap(), 16).unwrap())
                .collect(),
            Self::Text(text) => text.clone().into_bytes(),
        }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../cases/streams.json")).unwrap()
}

fn sent(case: &Case) -> Vec<u8> {
    let mut bytes: Vec<u8> = case.parts.iter().flat_map(Part::bytes).collect();
    bytes.truncate(bytes.len().saturating_sub(case.cut));

    bytes
}

fn read<'a>(provider: &Provider, case: &Case, pieces: impl Iterator<Item = &'a [u8]>) -> Expected {
    let mut reader = stream(provider, &Rc::new(case.lane.clone()), &case.asked);
    let mut out = Vec::new();
    let mut failure = None;
    for piece in pieces {
        if let Err(told) = reader.eat(piece, &mut out) {
            failure = Some(told);
            break;
        }
    }
    if failure.is_none() {
        failure = reader.end(&mut out).err();
    }

    Expected {
        text: String::from_utf8(out).unwrap(),
        failure: failure.map(|Failure { status, kind, message }| {
            assert_eq!(kind, kind_of(status), "{}", case.name);
            (status, message)
        }),
    }
}

#[test]
fn every_stream_is_read_as_its_case_has_it_wherever_it_is_cut() {
    let mut names = BTreeSet::new();
    for case in cases() {
        let provider = Provider::shipped(&case.provider).unwrap();
        let bytes = sent(&case);
        let whole = read(&provider, &case, std::iter::once(&*bytes));
        assert_eq!(whole, case.expect, "{}", case.name);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(
                read(&provider, &case, [head, tail].into_iter()),
                whole,
                "{} cut at {at}",
                case.name
            );
        }
        assert_eq!(read(&provider, &case, bytes.chunks(1)), whole, "{} byte by byte", case.name);
        let told = format!("{}{:?}", whole.text, whole.failure);
        assert!(!told.contains("canary") && !told.contains("123456789012"), "{told}");
        assert!(names.insert(case.name.clone()), "twice: {}", case.name);
    }
    assert!(names.len() >= 25);
}

#[test]
fn no_event_waits_for_the_next() {
    for case in cases().into_iter().filter(|case| case.expect.failure.is_none()) {
        let provider = Provider::shipped(&case.provider).unwrap();
        let mut reader = stream(&provider, &Rc::new(case.lane.clone()), &case.asked);
        let mut seen = 0;
        for part in &case.parts {
            let mut out = Vec::new();
            reader.eat(&part.bytes(), &mut out).unwrap();
            assert!(matches!(part, Part::Other(_)) || out.ends_with(b"\n"), "{}", case.name);
            seen += out.len();
        }
        assert_eq!(seen, case.expect.text.len(), "{}", case.name);
    }
}

proptest! {
    #[test]
    fn no_stream_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), framing in any::<bool>()) {
        let provider = Provider::shipped(if framing { "bedrock" } else { "vertex" }).unwrap();
        let mut reader = stream(&provider, &Rc::default(), "m");
        let mut out = Vec::new();
        if reader.eat(&bytes, &mut out).is_ok() {
            let framed = framed(&texts(&[(":message-type", "event"), (":event-type", "chunk")]), &bytes);
            let _failed = reader.eat(&framed, &mut out).is_err();
        }
    }
}
