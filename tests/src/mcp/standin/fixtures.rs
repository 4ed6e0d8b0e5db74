//! What the protocol's conformance tests ask of a server: their tools, resources and prompts.

use super::methods::Outcome;
use super::script::Script;
use serde_json::{Value, json};

/// The smallest PNG.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// A WAV without a sound.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// What the tests call, and what each needs of arguments.
const TOOLS: [(&str, &[&str]); 12] = [
    ("test_simple_text", &[]),
    ("test_image_content", &[]),
    ("test_audio_content", &[]),
    ("test_embedded_resource", &[]),
    ("test_multiple_content_types", &[]),
    ("test_tool_with_logging", &[]),
    ("test_tool_with_progress", &[]),
    ("test_error_handling", &[]),
    ("test_sampling", &["prompt"]),
    ("test_elicitation", &["message"]),
    ("test_elicitation_sep1034_defaults", &[]),
    ("test_elicitation_sep1330_enums", &[]),
];

/// Their entries.
pub fn tools() -> Vec<Value> {
    let entry = |(name, needs): (&str, &[&str])| {
        let properties: serde_json::Map<String, Value> =
            needs.iter().map(|need| ((*need).to_owned(), json!({ "type": "string" }))).collect();
        json!({ "name": name, "description": "For the conformance tests",
            "inputSchema": { "type": "object", "properties": properties, "required": needs } })
    };
    let schema = json!({
        "name": "json_schema_2020_12_tool", "description": "Tool with JSON Schema 2020-12 features",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "$defs": { "address": { "type": "object", "properties": {
                "street": { "type": "string" }, "city": { "type": "string" } } } },
            "properties": { "name": { "type": "string" }, "address": { "$ref": "#/$defs/address" } },
            "additionalProperties": false,
        },
    });

    TOOLS.into_iter().map(entry).chain([schema]).collect()
}

fn words(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// What one of them returns; none if it is not one of them.
pub fn call(name: &str) -> Option<Value> {
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let resource = |uri: &str, kind: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } });
    let content = match name {
        "test_simple_text" => json!([words("This is a simple text response for testing.")]),
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )]),
        "test_multiple_content_types" => json!([
            words("Multiple content types test:"),
            image,
            resource(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#
            ),
        ]),
        "test_error_handling" => {
            let content = [words("This tool intentionally returns an error for testing")];
            return Some(json!({ "isError": true, "content": content }));
        }
        known if TOOLS.iter().any(|(name, _)| *name == known) => json!([words("done")]),
        _ => return None,
    };

    Some(json!({ "content": content }))
}

/// How one of them goes about it, where it does more than return.
pub fn script(params: &Value) -> Option<Script> {
    let note = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    let pause = 50;
    let script = match params["name"].as_str()? {
        "test_tool_with_logging" => {
            let texts =
                ["Tool execution started", "Tool processing data", "Tool execution completed"];
            let log =
                |text| note("notifications/message", json!({ "level": "info", "data": text }));
            Script { before: texts.map(log).to_vec(), pause, ..Script::default() }
        }
        "test_tool_with_progress" => {
            let token = &params["_meta"]["progressToken"];
            let progress = |done| {
                let params = json!({ "progressToken": token, "progress": done, "total": 100 });
                note("notifications/progress", params)
            };
            let before = [0, 50, 100].map(progress).to_vec();
            Script {
                before: if token.is_null() { Vec::new() } else { before },
                pause,
                ..Script::default()
            }
        }
        "test_sampling" => {
            asking(json!({ "method": "sampling/createMessage", "params": { "maxTokens": 100,
            "messages": [{ "role": "user", "content": { "type": "text", "text": params["arguments"]["prompt"] } }] } }))
        }
        "test_elicitation" => elicit(
            &params["arguments"]["message"],
            &json!({ "type": "object", "required": ["username", "email"], "properties": {
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" } } }),
        ),
        "test_elicitation_sep1034_defaults" => elicit(&json!("With defaults?"), &defaults()),
        "test_elicitation_sep1330_enums" => elicit(&json!("Which?"), &enums()),
        _ => return None,
    };

    Some(script)
}

fn asking(request: Value) -> Script {
    Script { asks: vec![request], ..Script::default() }
}

fn elicit(message: &Value, schema: &Value) -> Script {
    asking(json!({ "method": "elicitation/create",
        "params": { "mode": "form", "message": message, "requestedSchema": schema } }))
}

fn defaults() -> Value {
    json!({ "type": "object", "required": [], "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    } })
}

fn enums() -> Value {
    let titled = |titles: [&str; 3]| -> Vec<Value> {
        let one = |(nth, title): (usize, &str)| json!({ "const": format!("value{}", nth + 1), "title": title });
        titles.into_iter().enumerate().map(one).collect()
    };
    let plain = ["option1", "option2", "option3"];
    json!({ "type": "object", "required": [], "properties": {
        "untitledSingle": { "type": "string", "enum": plain },
        "titledSingle": { "type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"]) },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
        "titledMulti": { "type": "array",
            "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) } },
    } })
}

/// The resources that can be listed.
pub fn resources() -> Value {
    let entry = |uri: &str, kind: &str| {
        json!({ "uri": uri, "name": uri.trim_start_matches("test://"), "mimeType": kind,
            "description": "For the conformance tests" })
    };

    json!([
        entry("test://static-text", "text/plain"),
        entry("test://static-binary", "image/png"),
        entry("test://watched-resource", "text/plain"),
    ])
}

/// The one template of resources.
pub fn templates() -> Value {
    json!([{ "uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "application/json" }])
}

/// Reads a resource.
pub fn read(uri: &str) -> Outcome {
    let number = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let content = match (uri, number) {
        ("test://static-text", _) => json!({ "uri": uri, "mimeType": "text/plain",
            "text": "This is the content of the static text resource." }),
        ("test://watched-resource", _) => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "Watched." })
        }
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        (_, Some(id)) => {
            let text =
                json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": text.to_string() })
        }
        _ => return Err((-32002, format!("Resource not found: {uri}"))),
    };

    Ok(json!({ "contents": [content] }))
}

/// The prompts, and what each needs of arguments.
const PROMPTS: [(&str, &[&str]); 4] = [
    ("test_simple_prompt", &[]),
    ("test_prompt_with_arguments", &["arg1", "arg2"]),
    ("test_prompt_with_embedded_resource", &["resourceUri"]),
    ("test_prompt_with_image", &[]),
];

/// Their entries.
pub fn prompts() -> Vec<Value> {
    let entry = |(name, needs): (&str, &[&str])| {
        let arguments: Vec<Value> =
            needs.iter().map(|need| json!({ "name": need, "required": true })).collect();
        json!({ "name": name, "description": "For the conformance tests", "arguments": arguments })
    };

    PROMPTS.into_iter().map(entry).collect()
}

/// One of them.
pub fn prompt(name: &str, arguments: &Value) -> Outcome {
    let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let contents = match name {
        "test_simple_prompt" => vec![words("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => vec![words(&format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1"),
            argument("arg2")
        ))],
        "test_prompt_with_embedded_resource" => vec![
            json!({ "type": "resource", "resource": { "uri": argument("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing." } }),
            words("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
            words("Please analyze the image above."),
        ],
        _ => return Err((-32602, format!("Unknown prompt: {name}"))),
    };
    let messages: Vec<Value> =
        contents.into_iter().map(|content| json!({ "role": "user", "content": content })).collect();

    Ok(json!({ "messages": messages }))
}
