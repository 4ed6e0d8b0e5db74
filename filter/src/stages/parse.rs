//! 3. Body → [`Call`]: what is asked for.
//!
//! The body is read once, borrowed, and never written again: what the provider gets are the bytes
//! the client sent. Members we do not know pass; a member on which we decide, or of which the row
//! tells, may be there once.

mod beside;
mod bounded;
mod declared;
mod turn;

pub use turn::Turn;

use crate::refusal::Refusal;
use contract::model;
use contract::policy::Declared;
use serde::de::{self, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A Messages request, as far as the gate needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The model, normalised.
    pub model: String,
    /// The model as the client wrote it.
    pub requested_model: String,
    /// Is a stream asked for?
    pub stream: bool,
    /// Models that the provider is asked to call beside it, normalized.
    pub beside: Vec<String>,
    /// The most tokens that may be answered with, where it says so. Nothing is decided on it but a route.
    pub max_tokens: Option<u64>,
}

/// A body that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for.
    pub call: Call,
    /// Tools, servers and skills.
    pub declared: Declared,
    /// The conversation, where it stands in the body.
    pub turn: Turn<'a>,
}

/// Reads a body.
///
/// # Errors
/// A [`Refusal`] for a body that is no Messages request, or that two readers could read in two
/// ways.
pub fn request(body: &[u8]) -> Result<Request<'_>, Refusal> {
    if body.is_empty() {
        return Err(Refusal::BodyMissing);
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let members = reader.deserialize_map(Members).or(Err(Refusal::BodyMalformed))?;
    reader.end().or(Err(Refusal::BodyMalformed))?;
    if members.twice {
        return Err(Refusal::BodyDuplicate);
    }
    let requested = match members.model {
        None | Some(Value::Null) => return Err(Refusal::ModelMissing),
        Some(Value::Text(text)) if text.is_empty() => return Err(Refusal::ModelMissing),
        Some(Value::Text(text)) => text,
        Some(Value::Bool(_) | Value::Other) => return Err(Refusal::ModelType),
    };
    let stream = match members.stream {
        None | Some(Value::Null) => false,
        Some(Value::Bool(stream)) => stream,
        Some(Value::Text(_) | Value::Other) => return Err(Refusal::StreamType),
    };
    let model = normal(&requested)?;
    let beside = members.beside.iter().map(|name| normal(name)).collect::<Result<_, _>>()?;

    let declared = declared::read(&members.declared).or(Err(Refusal::DeclarationMalformed))?;
    let max_tokens = members.max_tokens;
    let requested_model = requested.into_owned();
    let call = Call { model, requested_model, stream, beside, max_tokens };

    Ok(Request { call, declared, turn: members.turn.unwrap_or_default() })
}

fn normal(name: &str) -> Result<String, Refusal> {
    Ok(model::normalise(name).or(Err(Refusal::ModelMalformed))?.into_owned())
}

/// The members on which we decide.
#[derive(Default)]
struct Found<'a> {
    model: Option<Value<'a>>,
    stream: Option<Value<'a>>,
    turn: Option<Turn<'a>>,
    beside: Vec<Cow<'a, str>>,
    max_tokens: Option<u64>,
    declared: declared::Raw<'a>,
    twice: bool,
}

/// Members that are read; some servers read names whatever their case.
const OURS: [&str; 6] = ["model", "stream", "messages", "tools", "mcp_servers", "container"];

impl<'a> Found<'a> {
    /// A member that is not needed before all are known.
    fn member(&mut self, name: &str, value: &'a str) -> Result<(), serde_json::Error> {
        let declares = match name {
            "tools" => Some(&mut self.declared.tools),
            "mcp_servers" => Some(&mut self.declared.servers),
            "container" => Some(&mut self.declared.container),
            _ => None,
        };
        if name == "max_tokens" {
            self.max_tokens = value.parse().ok();
        }
        let declaring = declares.is_some();
        self.twice |= match declares {
            Some(member) => member.replace(value).is_some(),
            None => OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)),
        };

        beside::search(self, name.eq_ignore_ascii_case("fallbacks"), declaring, value)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Found<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::default();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            match &*name {
                "model" => found.twice |= found.model.replace(map.next_value()?).is_some(),
                "stream" => found.twice |= found.stream.replace(map.next_value()?).is_some(),
                // Data by definition, and most of the body.
                "messages" => found.twice |= found.turn.replace(map.next_value()?).is_some(),
                "system" => {
                    map.next_value::<IgnoredAny>()?;
                }
                other => {
                    let member: &RawValue = map.next_value()?;
                    found.member(other, member.get()).map_err(Error::custom)?;
                }
            }
        }

        Ok(found)
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(AnyValue)? {
            Value::Text(text) => Ok(Self(text)),
            Value::Bool(_) | Value::Null | Value::Other => Err(Error::custom("not a string")),
        }
    }
}

/// A value, told apart no further than is needed.
enum Value<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Null,
    Other,
}

impl<'de> de::Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(body: &[u8]) -> Result<Call, Refusal> {
        request(body).map(|request| request.call)
    }

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_asked_for_is_read_and_the_rest_is_let_be() {
        let body = br#"{"max_tokens":1,"messages":[{"role":"user","content":"model"}],
            "model":"claude-sonnet-4-5-20250929","stream":true,"brand_new":{"model":"x"}}"#;

        let call = call(body).unwrap();

        assert_eq!(call.model, "claude-sonnet-4-5");
        assert_eq!(call.requested_model, "claude-sonnet-4-5-20250929");
        assert!(call.stream);
        assert_eq!(call.max_tokens, Some(1));
    }

    #[test]
    fn each_fault_has_its_own_refusal() {
        for (body, refusal) in [
            ("", Refusal::BodyMissing),
            ("[]", Refusal::BodyMalformed),
            ("{\"model\":\"a\"} {}", Refusal::BodyMalformed),
            ("{\"model\":\"a\"", Refusal::BodyMalformed),
            ("\u{feff}{\"model\":\"a\"}", Refusal::BodyMalformed),
            ("{}", Refusal::ModelMissing),
            (r#"{"model":""}"#, Refusal::ModelMissing),
            (r#"{"model":null}"#, Refusal::ModelMissing),
            (r#"{"model":["a"]}"#, Refusal::ModelType),
            (r#"{"model":1}"#, Refusal::ModelType),
            (r#"{"model":"a","model":"b"}"#, Refusal::BodyDuplicate),
            (r#"{"model":"a","mod\u0065l":"b"}"#, Refusal::BodyDuplicate),
            (r#"{"model":"a","Model":"b"}"#, Refusal::BodyDuplicate),
            (r#"{"model":"a","messages":[],"messages":[]}"#, Refusal::BodyDuplicate),
            (r#"{"model":"a","Messages":[]}"#, Refusal::BodyDuplicate),
            (r#"{"model":"a","stream":1}"#, Refusal::StreamType),
            (r#"{"model":"claude sonnet"}"#, Refusal::ModelMalformed),
            (r#"{"model":"clаude"}"#, Refusal::ModelMalformed),
        ] {
            assert_eq!(call(body.as_bytes()), Err(refusal), "{body}");
        }
    }

    #[test]
    fn a_model_that_the_provider_is_asked_to_call_beside_is_a_model_too() {
        let body = br#"{"model":"claude-haiku-4-5",
            "tools":[{"name":"t","input_schema":{"properties":{"model":{"type":"string"}}}},
                     {"type":"advisor_20260301","name":"advisor","model":"claude-opus-4-8"}],
            "messages":[{"role":"user","content":[{"type":"text","text":"model"}]}],
            "fallbacks" : [{"model":"claude-sonnet-4-5"},"default"]}"#;

        let read = call(body).unwrap();

        assert_eq!(read.beside, ["claude-opus-4-8", "claude-sonnet-4-5", "default"]);
        let future = br#"{"model":"a","x_future":1e400,"y":null,"z":{"deep":[[1e400]]}}"#;
        assert!(call(future).is_ok_and(|call| call.beside.is_empty()), "no model: it passes");
        let odd = br#"{"model":"a","tools":[{"model":1}]}"#;
        assert_eq!(call(odd), Err(Refusal::BodyMalformed));
        let twice = br#"{"model":"a","tools":[{"model":"b","Model":"c"}]}"#;
        assert_eq!(call(twice), Err(Refusal::BodyDuplicate));
    }

    #[test]
    fn deep_nesting_is_read_without_recursion() {
        let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));

        assert!(call(deep.as_bytes()).is_ok());
        let deep_model = format!(r#"{{"model":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(call(deep_model.as_bytes()).is_err(), "and never by running out of stack");
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _result = call(&body);
        }

        #[test]
        fn the_order_of_members_does_not_matter(before in "[a-z]{1,8}", text in "\\PC{0,40}") {
            prop_assume!(before != "model" && before != "stream");
            let text = serde_json::to_string(&text).unwrap();
            let one = format!(r#"{{"model":"m-1","{before}":{text}}}"#);
            let two = format!(r#"{{"{before}":{text},"model":"m-1"}}"#);
            prop_assert_eq!(call(one.as_bytes()), call(two.as_bytes()));
        }
    }
}
