//! Bedrock's streams, written anew: no code is shared with who reads them.

use crate::provider::model::{self, Asked};
use crate::provider::script::Script;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

/// The answer as frames, in order.
pub fn of(asked: &Asked, words: &[String], script: &Script) -> Vec<Bytes> {
    let plain = Script { cut: 0, crlf: false, ..script.clone() };
    let whole: Vec<Bytes> =
        model::events(asked, words, &plain).iter().filter_map(|event| frame(event)).collect();
    if script.cut == 0 {
        return whole;
    }

    whole.concat().chunks(script.cut).map(Bytes::copy_from_slice).collect()
}

/// The frame for an event as the Messages API writes it.
fn frame(event: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(event).ok()?;
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    let mut data: Value = serde_json::from_str(data).ok()?;
    match data["type"].as_str()? {
        // Amazon knows no pings.
        "ping" => None,
        "error" => Some(exception("modelStreamErrorException", &data["error"]["message"])),
        "message_stop" => {
            data["amazon-bedrock-invocationMetrics"] =
                json!({"inputTokenCount": 25, "outputTokenCount": 15, "firstByteLatency": 300});
            Some(chunk(&data))
        }
        _ => Some(chunk(&data)),
    }
}

fn chunk(event: &Value) -> Bytes {
    let bytes = STANDARD.encode(event.to_string());
    let hidden: String = ('a'..='z').cycle().take(bytes.len() % 29).collect();
    let payload = json!({"bytes": bytes, "p": hidden}).to_string();

    framed(
        &[
            (":event-type", "chunk"),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ],
        payload.as_bytes(),
    )
}

/// An exception.
pub fn exception(name: &str, message: &Value) -> Bytes {
    let payload = json!({"message": message, "originalMessage": "canary-account"}).to_string();

    framed(
        &[
            (":exception-type", name),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        payload.as_bytes(),
    )
}

fn framed(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut written = Vec::new();
    for (name, value) in headers {
        written.push(u8::try_from(name.len()).unwrap());
        written.extend(name.as_bytes());
        written.push(7);
        written.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        written.extend(value.as_bytes());
    }
    let total = u32::try_from(written.len() + payload.len() + 16).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend(u32::try_from(written.len()).unwrap().to_be_bytes());
    frame.extend(sum(&frame).to_be_bytes());
    frame.extend(written);
    frame.extend(payload);
    frame.extend(sum(&frame).to_be_bytes());

    frame.into()
}

/// CRC-32, as gzip has it too.
pub fn sum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);

    crc.sum()
}
