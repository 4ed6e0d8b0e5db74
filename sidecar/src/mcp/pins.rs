//! Pins: the SHA-256 of what a server says of each of its tools, as the gate takes it.

use contract::canonical;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// An answer to `tools/list`, or what is in it. A definition stays as it is written: the digest is of its text.
#[derive(Deserialize)]
struct Answer<'t> {
    #[serde(borrow)]
    result: Option<&'t RawValue>,
    #[serde(borrow)]
    tools: Option<Vec<&'t RawValue>>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
}

/// The pins of a server's tools, by their names.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn of(bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = str::from_utf8(bytes).map_err(|error| format!("is no UTF-8: {error}"))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut pins = BTreeMap::new();
    if text.trim_start().starts_with(['{', '[']) {
        if !read(text, &mut pins)? {
            return Err("lists no tools: an answer to tools/list belongs there".into());
        }
        return Ok(pins);
    }
    let mut any = false;
    for event in events(text) {
        any |= read(&event, &mut pins)?;
    }

    if any {
        Ok(pins)
    } else {
        Err("is neither JSON nor a stream of events that lists tools".into())
    }
}

/// The data of each event (HTML Living Standard, section 9.2).
fn events(text: &str) -> Vec<String> {
    let mut events = vec![String::new()];
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        if line.is_empty() {
            events.push(String::new());
        } else if let (Some(data), Some(event)) = (line.strip_prefix("data:"), events.last_mut()) {
            event.push_str(data.strip_prefix(' ').unwrap_or(data));
            event.push('\n');
        }
    }
    events.retain(|event| !event.is_empty());

    events
}

/// Pins the tools of a text; did it list any?
fn read(text: &str, pins: &mut BTreeMap<String, String>) -> Result<bool, String> {
    let no_json = |error: serde_json::Error| format!("is no JSON: {error}");
    if text.trim_start().starts_with('[') {
        let tools: Vec<&RawValue> = serde_json::from_str(text).map_err(no_json)?;
        add(&tools, pins)?;
        return Ok(true);
    }
    let answer: Answer<'_> = serde_json::from_str(text).map_err(no_json)?;
    let inner = answer.result.map(|result| serde_json::from_str::<Answer<'_>>(result.get()));
    let tools = match inner {
        Some(inner) => inner.map_err(no_json)?.tools,
        None => answer.tools,
    };
    if let Some(tools) = &tools {
        add(tools, pins)?;
    }

    Ok(tools.is_some())
}

fn add(tools: &[&RawValue], pins: &mut BTreeMap<String, String>) -> Result<(), String> {
    for tool in tools {
        let Tool { name } = serde_json::from_str(tool.get())
            .map_err(|error| format!("has a tool without a name: {error}"))?;
        let digest = canonical::digest(tool.get().as_bytes()).map_err(|error| {
            format!("the definition of {name:?} has no canonical form: {error}")
        })?;
        let mut hex = String::new();
        for byte in digest {
            write!(hex, "{byte:02x}").map_err(|error| error.to_string())?;
        }
        if pins.insert(name.clone(), hex.clone()).is_some_and(|before| before != hex) {
            return Err(format!("has two definitions of {name:?}"));
        }
    }

    Ok(())
}

/// The member of the server's entry, YAML.
pub(super) fn block(pins: &BTreeMap<String, String>) -> String {
    if pins.is_empty() {
        return "pins: {}\n".to_owned();
    }
    let mut text = "pins:\n".to_owned();
    for (name, pin) in pins {
        // JSON's strings are YAML's.
        let name = serde_json::Value::from(name.as_str());
        text.extend(["  ", &name.to_string(), ": \"", pin, "\"\n"]);
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLS: &str = r#"[{"name":"b","inputSchema":{"type":"object","maximum":1.0}},{"inputSchema":{}, "name":"a"}]"#;

    #[test]
    fn pins_are_of_the_canonical_form_whatever_the_answer_is_wrapped_in() {
        let plain = of(TOOLS.as_bytes()).unwrap();
        assert_eq!(plain.len(), 2);
        // echo -n '{"inputSchema":{},"name":"a"}' | sha256sum
        assert_eq!(plain["a"], "bb2f1d131767ea25a891174b97d7c1c425f016c5d1ed61dbc7c29da6e7a9eb62");
        let answer =
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{TOOLS},"nextCursor":"x"}}}}"#);
        let turned = r#"{"tools":[{"name":"a","inputSchema":{}},{"inputSchema":{"maximum":1,"type":"object"},"name":"b"}]}"#;
        let stream = format!(
            "\u{feff}event: message\r\nid: 1\r\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}}\r\n\r\nevent: message\ndata: {answer}\n\n"
        );
        for text in [&*answer, turned, &stream] {
            assert_eq!(of(text.as_bytes()).unwrap(), plain, "{text}");
        }
        assert!(block(&plain).starts_with("pins:\n  \"a\": \"bb2f"));
    }

    #[test]
    fn what_lists_no_tools_or_one_twice_is_told() {
        for (text, why) in [
            ("{}", "lists no tools"),
            ("hello", "neither JSON"),
            ("[1]", "a tool without a name"),
            (r#"[{"name":"a"},{"name":"a","title":"b"}]"#, "two definitions"),
            (r#"[{"name":"a","x":1,"x":2}]"#, "no canonical form"),
            ("{\"result\":", "no JSON"),
        ] {
            let error = of(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
